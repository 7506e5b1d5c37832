"""Files from elsewhere, whole and with the promised bytes, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from penstock.ground.errors import IntegrityError, NotFound, Unauthenticated, Unavailable
from penstock.ground.files import CHUNK_BYTES, sha256_of, storage_errors, writing
from penstock.ground.progress import Phase

Result = TypeVar("Result")

_TRIES = 4
_RETRIED_STATUS = {408, 425, 429, 500, 502, 503, 504}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file: where from, where to, and what it must be; an unknown size is None."""

    url: str
    path: Path
    sha256: str
    size_bytes: int | None = None


class Downloader:
    """Fetches files over http, https and file URLs; safe to use from several threads.

    ``proxies`` maps a scheme to a proxy URL; without it the usual proxy variables hold. ``credentials`` finds a user
    and password for a URL; they are sent to that URL's own host only, never along a redirect to another one.
    """

    def __init__(
        self,
        *,
        credentials: Callable[[str], tuple[str, str] | None] = lambda _: None,
        proxies: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._proxies = dict(proxies or {})
        self._transport = transport
        self._credentials = credentials
        self._pause = pause
        self._opening = threading.Lock()
        self._opened_client: httpx.Client | None = None

    def close(self) -> None:
        """Closes the connections that are kept open."""
        if self._opened_client is not None:
            self._opened_client.close()

    @property
    def _client(self) -> httpx.Client:
        """Made when it is first needed: reading the trusted certificates takes longer than a build from the cache."""
        with self._opening:
            if self._opened_client is None:
                mounts = {f"{scheme}://": httpx.HTTPTransport(proxy=url) for scheme, url in self._proxies.items()}
                self._opened_client = httpx.Client(
                    follow_redirects=True, timeout=60, mounts=mounts, transport=self._transport, verify=_trusted()
                )
            return self._opened_client

    def read(self, url: str) -> bytes:
        """The bytes at ``url``. Raises NotFound, Unauthenticated or Unavailable."""
        if urlsplit(url).scheme in ("", "file"):
            return _local(url).read_bytes()
        return self._retried(url, lambda: self._read_once(url))

    def ensure(self, wanted: Wanted) -> Path:
        """``wanted.path``, fetched if it was not there. Raises IntegrityError when the bytes are others."""
        if wanted.path.is_file():
            return wanted.path
        if urlsplit(wanted.url).scheme in ("", "file"):
            return _copied(wanted)
        return self._retried(wanted.url, lambda: self._fetch_once(wanted))

    def ensure_all(self, wanted: Iterable[Wanted], phase: Phase, *, threads: int = 6) -> list[Path]:
        """Every file, in the order given, several at a time."""
        files = list(wanted)
        total = sum(file.size_bytes or 0 for file in files) or None
        paths, done_bytes = [], 0
        with ThreadPoolExecutor(threads) as pool:
            try:
                for file, path in zip(files, pool.map(self.ensure, files), strict=True):
                    paths.append(path)
                    done_bytes += file.size_bytes or 0
                    phase.advance(done_bytes, total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return paths

    def _retried(self, url: str, attempt: Callable[[], Result]) -> Result:
        """What ``attempt`` gives; a fault of the network or the server is tried again, a little later each time."""
        for number in range(1, _TRIES + 1):
            try:
                return attempt()
            except (httpx.TransportError, Unavailable) as error:
                if number == _TRIES:
                    raise Unavailable(
                        f"{_host(url)} cannot be reached: {error}.",
                        fix="Check the network and the proxy, then try again.",
                    ) from error
                self._pause(0.3 * 2**number)
        raise AssertionError("unreachable")

    def _read_once(self, url: str) -> bytes:
        with self._opened(url) as response:
            return response.read()

    def _fetch_once(self, wanted: Wanted) -> Path:
        hasher = hashlib.sha256()
        with self._opened(wanted.url) as response, writing(wanted.path) as file:
            for chunk in response.iter_bytes(CHUNK_BYTES):
                hasher.update(chunk)
                file.write(chunk)
            _check(wanted, hasher.hexdigest())
        return wanted.path

    @contextmanager
    def _opened(self, url: str) -> Iterator[httpx.Response]:
        login = self._credentials(url)
        # Packages are compressed already, and what is hashed must be what was promised: no content coding.
        headers = {"Accept-Encoding": "identity"}
        with self._client.stream("GET", _without_login(url), auth=login, headers=headers) as response:
            status = response.status_code
            if status in _RETRIED_STATUS:
                raise Unavailable(f"it answered {status}")
            if status in (401, 403, 407):
                raise Unauthenticated(
                    f"{_host(url)} answered {status} for {_file_name(url)}.", fix="Give a user and password in netrc."
                )
            if status != 200:
                raise NotFound(
                    f"{_host(url)} answered {status} for {_file_name(url)}.", fix="Resolve anew, or try later."
                )
            yield response


def _trusted() -> ssl.SSLContext:
    """The system's certificates, with the bundle that pip or requests were told to trust."""
    context = ssl.create_default_context()
    for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        bundle = os.environ.get(name)
        if bundle and Path(bundle).is_file():
            context.load_verify_locations(bundle)
    return context


def _copied(wanted: Wanted) -> Path:
    source = _local(wanted.url)
    _check(wanted, sha256_of(source))
    with source.open("rb") as reader, writing(wanted.path) as file, storage_errors(wanted.path):
        shutil.copyfileobj(reader, file, CHUNK_BYTES)
    return wanted.path


def _check(wanted: Wanted, sha256: str) -> None:
    if sha256 != wanted.sha256:
        raise IntegrityError(
            f"{_file_name(wanted.url)} has the SHA-256 {sha256}, but {wanted.sha256} was promised.",
            fix="It was cut short or changed on the way; try again, and distrust that server if it stays so.",
        )


def _local(url: str) -> Path:
    path = Path(unquote(urlsplit(url).path) if url.startswith("file:") else url)
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", fix="Resolve anew, or bring it back.")
    return path


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]
