"""One blob on its way down: resumed where it was cut, its digest verified before it counts."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import BinaryIO

import httpx
from msgspec import Struct

from penstock.ground.errors import IntegrityError, PenstockError, Unavailable
from penstock.oci.cache import BlobCache
from penstock.oci.digests import CHUNK_BYTES
from penstock.oci.repository import Repository
from penstock.oci.tally import Stopped, Tally
from penstock.oci.types import Descriptor


class Download(Struct, frozen=True):
    """One blob's way into the cache, from the first of ``sources`` that has it: mirrors, and home at last."""

    sources: tuple[Repository, ...]
    blob: Descriptor
    cache: BlobCache
    tally: Tally

    def run(self) -> None:
        """Returns when the blob is in the cache. Raises IntegrityError, or what the registry at home refuses with."""
        if not self._is_here():
            with self.cache.downloading(self.blob.digest) as partial:
                if not self._is_here():  # another process may have brought it while this one waited
                    self._fetch(partial.file)
                    partial.keep(self.blob.digest)
        self.tally.at(self.blob.digest, self.blob.size_bytes)

    def _is_here(self) -> bool:
        return self.cache.find_blob(self.blob.digest, size_bytes=self.blob.size_bytes) is not None

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
        arrival = _Arrival(self.blob, file)
        arrival.resume()
        url = source.connection.url(f"{source.name}/blobs/{self.blob.digest}")
        headers = {"Range": f"bytes={arrival.size_bytes}-"} if arrival.size_bytes else {}
        with source.connection.send("GET", url, expect=(200, 206, 416), headers=headers) as response:
            arrival.begin(response)
            for piece in response.iter_raw():
                arrival.take(piece)
                self.tally.at(self.blob.digest, arrival.size_bytes)
        arrival.end()


class _Arrival:
    """What has arrived of a blob: in ``file``, hashed and counted."""

    def __init__(self, blob: Descriptor, file: BinaryIO) -> None:
        self._blob = blob
        self._file = file
        self._restart()

    def resume(self) -> None:
        """Takes up what an earlier attempt left in the file, unless it is too much."""
        self._file.seek(0)
        while piece := self._file.read(CHUNK_BYTES):
            self._hash.update(piece)
            self.size_bytes += len(piece)
        if self.size_bytes >= self._blob.size_bytes:
            self._discard()
        self._resumed = self.size_bytes > 0

    def begin(self, response: httpx.Response) -> None:
        """Gets ready for the response's bytes: the rest, or all of them from a registry that knows no ranges."""
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {self.size_bytes}-")
        if response.status_code == 416 or (response.status_code == 206 and not continues):
            self._discard()
            raise Unavailable(f"{response.url.host} cannot resume {self._blob.digest}. Try again.")
        if response.status_code == 200 and self._resumed:
            self._discard()

    def take(self, piece: bytes) -> None:
        """Adds the next bytes; more than were promised are refused at once."""
        self.size_bytes += len(piece)
        if self.size_bytes > self._blob.size_bytes:
            raise self._refused(f"is longer than {self._blob.size_bytes} bytes")
        self._hash.update(piece)
        self._file.write(piece)

    def end(self) -> None:
        """Checks the whole. Raises Unavailable for too few bytes, IntegrityError for the wrong ones."""
        if self.size_bytes < self._blob.size_bytes:
            raise Unavailable(f"{self.size_bytes} of {self._blob.size_bytes} bytes came. Try again.")
        if f"sha256:{self._hash.hexdigest()}" != self._blob.digest:
            raise self._refused(f"has the digest sha256:{self._hash.hexdigest()}")

    def _refused(self, why: str) -> PenstockError:
        """The error for wrong bytes; if some of them came earlier, they are the suspects, and all is fetched anew."""
        resumed = self._resumed
        self._discard()
        told = f"The blob {self._blob.digest} {why}."
        return Unavailable(told, fix="Try again.") if resumed else IntegrityError(told, fix="Ask who published it.")

    def _discard(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._restart()

    def _restart(self) -> None:
        self._hash = sha256()
        self.size_bytes = 0
        self._resumed = False
