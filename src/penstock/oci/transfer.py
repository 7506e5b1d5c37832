"""One blob on its way up or down: what travels, how much of it has, and how it recovers."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, BinaryIO

import httpx
from msgspec import Struct

from penstock.ground.errors import IntegrityError, InvalidInput, NotFound, PenstockError, Unavailable
from penstock.ground.progress import Phase
from penstock.oci.cache import BlobCache
from penstock.oci.digests import DigestingReader, digest_of, mismatch
from penstock.oci.repository import Repository
from penstock.oci.types import Descriptor

CHUNK_BYTES = 1 << 20


class Source(Struct, frozen=True):
    """A blob to push; ``open`` gives its bytes from the start as often as it is called."""

    digest: str
    size_bytes: int
    open: Callable[[], BinaryIO]


def memory_source(content: bytes) -> Source:
    """A blob that is in memory."""
    return Source(digest_of(content), len(content), lambda: io.BytesIO(content))


class Stopped(Unavailable):
    """Another transfer of the same image failed."""

    retryable = False


class Tally:
    """How far all transfers of one image are, told to one phase from many threads."""

    def __init__(self, phase: Phase, total_bytes: int) -> None:
        self._phase = phase
        self._total_bytes = total_bytes
        self._done: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def at(self, digest: str, done_bytes: int) -> None:
        """``done_bytes`` of that blob are done. Raises Stopped when the others were stopped."""
        if self._stopped.is_set():
            raise Stopped
        with self._lock:
            self._done[digest] = done_bytes
            self._phase.advance(sum(self._done.values()), self._total_bytes)

    def stop(self) -> None:
        """Makes every transfer end at its next piece."""
        self._stopped.set()


class Upload(Struct, frozen=True):
    """One blob's way into a repository."""

    repository: Repository
    source: Source
    mount_from: tuple[str, ...]
    tally: Tally

    def run(self) -> None:
        """Returns when the registry has the blob."""
        self.repository.retry(self._attempt)
        self.tally.at(self.source.digest, self.source.size_bytes)

    def _attempt(self) -> None:
        self.tally.at(self.source.digest, 0)
        if self._is_there():
            return
        location = self._start()
        if location is not None:
            self._put(location)

    def _is_there(self) -> bool:
        connection = self.repository.connection
        url = connection.url(f"{self.repository.name}/blobs/{self.source.digest}")
        with connection.send("HEAD", url, expect=(200, 404)) as response:
            return response.status_code == 200

    def _start(self) -> httpx.URL | None:
        """Where to PUT the blob, or None when it could be mounted from another repository."""
        connection, base = self.repository.connection, f"{self.repository.name}/blobs/uploads/"
        mounts: list[dict[str, str]] = [{"mount": self.source.digest, "from": name} for name in self.mount_from]
        for query in mounts or [{}]:
            url = connection.url(base, **query)
            with connection.send("POST", url, expect=(201, 202), headers={"Content-Length": "0"}) as response:
                if response.status_code == 201:
                    return None
                location = connection.location(response, digest=self.source.digest)
        return location

    def _put(self, location: httpx.URL) -> None:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self.source.size_bytes)}
        try:
            send = self.repository.connection.send
            with send("PUT", location, expect=(201, 204), headers=headers, body=self._pieces):
                pass
        except NotFound as error:
            raise Unavailable(f"The upload session was lost: {error.message}", fix="Try again.") from error
        except InvalidInput as error:
            self._check_own_bytes()
            raise Unavailable(error.message, fix=error.fix) from error

    def _pieces(self) -> Iterator[bytes]:
        sent = 0
        with self.source.open() as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece
                sent += len(piece)
                self.tally.at(self.source.digest, sent)

    def _check_own_bytes(self) -> None:
        """The registry refused the blob: perhaps it was damaged here. Raises IntegrityError if so."""
        with self.source.open() as file:
            reader = DigestingReader(file)
            reader.drain()
        if reader.digest != self.source.digest:
            raise mismatch("A layer in the cache", expected=self.source.digest, actual=reader.digest)


class Download(Struct, frozen=True):
    """One blob's way into the cache, from the first of ``sources`` that has it: mirrors, and home at last."""

    sources: tuple[Repository, ...]
    blob: Descriptor
    cache: BlobCache
    tally: Tally

    def run(self) -> None:
        """Returns when the blob, its digest verified, is in the cache."""
        if self.cache.find_blob(self.blob.digest, size_bytes=self.blob.size_bytes) is None:
            with self.cache.downloading(self.blob.digest) as partial:
                if self.cache.find_blob(self.blob.digest, size_bytes=self.blob.size_bytes) is None:
                    self._fetch(partial.file)
                    partial.keep(self.blob.digest)
        self.tally.at(self.blob.digest, self.blob.size_bytes)

    def _fetch(self, file: BinaryIO) -> None:
        *mirrors, home = self.sources
        for mirror in mirrors:
            try:
                return self._fetch_from(mirror, file)
            except Stopped:
                raise
            except PenstockError:  # whatever ails a mirror, the next one is asked
                continue
        return self._fetch_from(home, file)

    def _fetch_from(self, source: Repository, file: BinaryIO) -> None:
        """Gives up only where a whole round of attempts brought next to nothing: a bad line may carry a large blob."""
        while True:
            before_bytes = file.seek(0, os.SEEK_END)
            try:
                return source.retry(lambda: self._attempt(source, file))
            except PenstockError as error:
                if not error.retryable or file.seek(0, os.SEEK_END) < before_bytes + CHUNK_BYTES:
                    raise

    def _attempt(self, source: Repository, file: BinaryIO) -> None:
        """Fetches what is missing of the blob and checks the whole."""
        connection = source.connection
        done, have = self._resumed(file)
        resumed = have > 0
        url = connection.url(f"{source.name}/blobs/{self.blob.digest}")
        headers = {"Range": f"bytes={have}-"} if have else {}
        with connection.send("GET", url, expect=(200, 206, 416), headers=headers) as response:
            if response.status_code == 416 or (response.status_code == 206 and not _continues(response, have)):
                file.truncate(0)
                raise Unavailable(f"{connection.registry} cannot resume {self.blob.digest}. Try again.")
            if response.status_code == 200 and have:
                done, have, resumed = sha256(), 0, False
                file.seek(0)
                file.truncate()
            for piece in response.iter_raw():
                have += len(piece)
                if have > self.blob.size_bytes:
                    raise self._refused(file, f"is longer than {self.blob.size_bytes} bytes", resumed=resumed)
                done.update(piece)
                file.write(piece)
                self.tally.at(self.blob.digest, have)
        if have < self.blob.size_bytes:
            raise Unavailable(f"{connection.registry} sent {have} of {self.blob.size_bytes} bytes. Try again.")
        if f"sha256:{done.hexdigest()}" != self.blob.digest:
            raise self._refused(file, f"has the digest sha256:{done.hexdigest()}", resumed=resumed)

    def _resumed(self, file: BinaryIO) -> tuple[Any, int]:
        """The hash and the length of what is in ``file`` already; its position is at the end."""
        done, have = sha256(), 0
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            done.update(piece)
            have += len(piece)
        if have >= self.blob.size_bytes:
            file.seek(0)
            file.truncate()
            return sha256(), 0
        return done, have

    def _refused(self, file: BinaryIO, why: str, *, resumed: bool) -> PenstockError:
        """The error for wrong bytes; if some of them came earlier, they are the suspects, and all is fetched anew."""
        file.seek(0)
        file.truncate()
        told = f"The blob {self.blob.digest} {why}."
        return Unavailable(told, fix="Try again.") if resumed else IntegrityError(told, fix="Ask who published it.")


def _continues(response: httpx.Response, have: int) -> bool:
    return bool(response.headers.get("Content-Range", "").startswith(f"bytes {have}-"))
