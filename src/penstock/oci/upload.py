"""One blob on its way up: asked for, mounted, or sent in one piece; a failure starts a new session."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

import httpx
from msgspec import Struct

from penstock.ground.errors import InvalidInput, NotFound, Unavailable
from penstock.oci.digests import CHUNK_BYTES, DigestingReader, digest_of, mismatch
from penstock.oci.repository import Repository
from penstock.oci.tally import Tally


class Source(Struct, frozen=True):
    """A blob to push; ``open`` gives its bytes from the start as often as it is called."""

    digest: str
    size_bytes: int
    open: Callable[[], BinaryIO]


def memory_source(content: bytes) -> Source:
    """A blob that is in memory."""
    return Source(digest_of(content), len(content), lambda: io.BytesIO(content))


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
