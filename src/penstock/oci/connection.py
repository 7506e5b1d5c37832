"""One registry on the wire: requests with the right credentials, redirects without them, refusals as our errors."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from msgspec import Struct

from penstock.ground.clock import Clock
from penstock.ground.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PenstockError,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from penstock.oci.auth import Keychain
from penstock.oci.authorizer import Authorizer
from penstock.oci.network import Network
from penstock.oci.reference import is_loopback

_MAX_ERROR_BYTES = 16 << 10
_MAX_REDIRECTS = 5
_LONGEST_ASKED_SECONDS = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_Value = TypeVar("_Value")
Body = Callable[[], Iterable[bytes]]


class Retries(Struct, frozen=True):
    """How often, and how long apart, a call is made that may succeed later."""

    attempts: int = 5
    first_seconds: float = 0.25
    longest_seconds: float = 10.0

    def run(self, action: Callable[[], _Value], clock: Clock) -> _Value:
        """What ``action`` gives, in as many attempts as are allowed. Errors that no retry can help pass at once."""
        for attempt in range(1, self.attempts + 1):
            try:
                return action()
            except PenstockError as error:
                if not error.retryable or attempt == self.attempts:
                    raise
                clock.sleep(self._pause(attempt, error))
        raise AssertionError("unreachable: attempts is at least 1")

    def _pause(self, attempt: int, error: PenstockError) -> float:
        asked = error.retry_after_seconds if isinstance(error, Throttled) else 0.0
        backoff = min(self.longest_seconds, self.first_seconds * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        return max(backoff, min(asked, _LONGEST_ASKED_SECONDS))


class Throttled(Unavailable):
    """The registry is busy and said when to come back."""

    retry_after_seconds: float = 0.0


class BlobMissing(Conflict):
    """A blob that was there went away before the manifest came."""

    retryable = False


class Connection:
    """Talks to one registry. ``host`` is where it answers; plain HTTP only on loopback or when asked for."""

    def __init__(self, registry: str, host: str, *, network: Network, keychain: Keychain, plain_http: bool) -> None:
        self.registry = registry
        self._network = network
        self._plain_http = plain_http or is_loopback(host)
        self._base = httpx.URL(f"{'http' if self._plain_http else 'https'}://{host}/v2/")
        self._authorizer = Authorizer(registry, keychain, self._ask_realm)

    def url(self, path: str, **query: str) -> httpx.URL:
        """The address of ``path`` below /v2/."""
        return self._base.join(path).copy_merge_params(query) if query else self._base.join(path)

    def location(self, response: httpx.Response, **query: str) -> httpx.URL:
        """Where the response points, absolute or relative, its own query kept to the letter and ``query`` added.

        Raises Forbidden for plain HTTP beyond this machine, unless that was asked for.
        """
        target = response.url.join(response.headers.get("Location", ""))
        self._check_scheme(target)
        if not query:
            return target
        return httpx.URL(f"{target}{'&' if target.query else '?'}{urlencode(query)}")

    @contextmanager
    def send(
        self,
        method: str,
        url: httpx.URL,
        *,
        expect: tuple[int, ...],
        headers: dict[str, str] | None = None,
        body: Body | None = None,
    ) -> Iterator[httpx.Response]:
        """The response, its body not read yet, if its status is among ``expect``; else the error that it means.

        A 401 is answered once, with new credentials; ``body`` is then called for the bytes again.
        """
        with _transport_errors(self.registry):
            response = self._follow(method, url, headers or {}, body)
            try:
                if response.status_code not in expect:
                    raise _refusal(method, response, self.registry)
                yield response
            finally:
                _finish(response)

    def _follow(self, method: str, url: httpx.URL, headers: dict[str, str], body: Body | None) -> httpx.Response:
        response = self._authorized(method, url, headers, body)
        for _ in range(_MAX_REDIRECTS):
            if response.status_code not in _REDIRECTS or method not in ("GET", "HEAD"):
                return response
            _finish(response)
            target = self.location(response)
            response = self._authorized(method, target, headers, None)
        response.close()
        raise Unavailable(f"{self.registry} redirects without end.", fix="Tell the registry's operators.")

    def _authorized(self, method: str, url: httpx.URL, headers: dict[str, str], body: Body | None) -> httpx.Response:
        """The response to the request, made with credentials only if it goes to the registry itself."""
        if not self._is_home(url):
            return self._once(method, url, headers, body, None)
        used = self._authorizer.header
        response = self._once(method, url, headers, body, used)
        if response.status_code == 401:
            _finish(response)
            self._authorizer.answer(response.headers.get("WWW-Authenticate", ""), refused=used)
            response = self._once(method, url, headers, body, self._authorizer.header)
        return response

    def _once(
        self, method: str, url: httpx.URL, headers: dict[str, str], body: Body | None, authorization: str | None
    ) -> httpx.Response:
        own = {"Authorization": authorization} if authorization else {}
        content = body() if body is not None else None
        return self._network.send(httpx.Request(method, url, headers={**headers, **own}, content=content), stream=True)

    def _is_home(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)

    def _check_scheme(self, url: httpx.URL) -> None:
        """No plain HTTP beyond this machine unless it was asked for."""
        plain = self._plain_http or is_loopback(url.netloc.decode("ascii"))
        if url.scheme != "https" and not (url.scheme == "http" and plain):
            raise Forbidden(
                f"{self.registry} points at {url.scheme}://{url.host}, which is not encrypted.",
                fix="Allow plain HTTP for this registry if its network is trusted.",
            )

    def _ask_realm(self, request: httpx.Request) -> httpx.Response:
        self._check_scheme(request.url)
        return self._network.send(request)


@contextmanager
def _transport_errors(registry: str) -> Iterator[None]:
    """Turns what goes wrong below HTTP into errors that say so."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise TimedOut(f"{registry} did not answer in time.", fix="Try again, or look at the network.") from error
    except httpx.TransportError as error:
        told = str(error) or type(error).__name__
        raise Unavailable(
            f"The connection to {registry} failed: {told}.", fix="See that the registry runs and can be reached."
        ) from error
    except httpx.InvalidURL as error:
        raise Unavailable(f"{registry} gave an address that cannot be used: {error}. Tell its operators.") from error


def _finish(response: httpx.Response) -> None:
    """Reads what little may be left of the response: a connection whose last answer was not read to its end is lost."""
    try:
        small = response.request.method == "HEAD" or int(response.headers["Content-Length"]) <= _MAX_ERROR_BYTES
        if small and not response.is_stream_consumed:
            for _ in response.iter_raw():
                pass
    except (KeyError, ValueError, httpx.HTTPError, httpx.StreamError):
        pass  # of unknown length, or broken: its connection is closed now
    finally:
        response.close()


def _refusal(method: str, response: httpx.Response, registry: str) -> PenstockError:
    """The error that an unexpected status means; addresses lose their query, which may hold secrets."""
    codes, told = _told(response)
    what = f"{registry} answered {response.status_code} to {method} {response.url.path}{told}."
    status = response.status_code
    if status == 429 or status >= 500:
        return _throttled(what, response)
    if status == 400 and "TAG_INVALID" in codes:
        return AlreadyExists(what, fix="Choose another tag: the repository does not let this one move.")
    if status == 400 and codes & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}:
        return BlobMissing(what, fix="Push again.")
    known: dict[int, tuple[type[PenstockError], str]] = {
        401: (Unauthenticated, f"Log in to {registry} again; the token may have expired or lack a scope."),
        403: (Forbidden, "Ask for the right to pull or push there."),
        404: (NotFound, "See that the name is right, and create the repository if the registry does not do so itself."),
        413: (TooLarge, "Make it smaller: split the layer."),
    }
    kind, fix = known.get(status, (InvalidInput, "See what the registry says about it."))
    return kind(what, fix=fix)


def _told(response: httpx.Response) -> tuple[set[str], str]:
    """The error codes in the body, and a half sentence of what it says."""
    body = b""
    for piece in response.iter_bytes():
        body = (body + piece)[:_MAX_ERROR_BYTES]
        if len(body) == _MAX_ERROR_BYTES:
            break
    try:
        errors: list[dict[str, Any]] = httpx.Response(200, content=body).json()["errors"]
        codes = {str(error.get("code", "")) for error in errors}
        return codes, "".join(f" ({error.get('code')}: {error.get('message') or ''})" for error in errors[:3])
    except (ValueError, KeyError, TypeError, AttributeError):
        return set(), ""


def _throttled(what: str, response: httpx.Response) -> Throttled:
    error = Throttled(what, fix="Try again later.")
    after = response.headers.get("Retry-After", "")
    error.retry_after_seconds = float(after) if after.isdecimal() else 0.0
    return error
