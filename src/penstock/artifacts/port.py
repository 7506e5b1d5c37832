"""The port that every place for artifacts implements, and what reading from one gives back."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, runtime_checkable

from penstock.artifacts.streams import Source, Stream
from penstock.ground.entities import FileInfo


class Reading:
    """An open artifact: bytes from ``start_byte`` on, out of ``size_bytes`` in all (None: the place did not say).

    ``version`` changes when the content does, so that a download can tell whether it may be resumed; ``sha256`` is the
    lower-case hex digest of the whole artifact where the place keeps one. Close it, or use it in a ``with``.
    """

    __slots__ = ("sha256", "size_bytes", "start_byte", "stream", "version")

    def __init__(
        self, stream: Stream, *, size_bytes: int | None, start_byte: int, version: str | None, sha256: str | None
    ) -> None:
        self.stream = stream
        self.size_bytes = size_bytes
        self.start_byte = start_byte
        self.version = version
        self.sha256 = sha256

    def read(self, size: int = -1, /) -> bytes:
        return self.stream.read(size)

    def close(self) -> None:
        self.stream.close()

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ArtifactStorage(Protocol):
    """A place that keeps artifacts. Paths reach it clean (see paths.artifact_path); '' is its root."""

    @property
    def uri(self) -> str: ...

    def list(self, path: str) -> tuple[FileInfo, ...]:
        """The direct children of the directory ``path`` by name; none for a file and for what is not there."""

    def find(self, path: str) -> FileInfo | None: ...

    def open(self, path: str, *, start_byte: int = 0, end_byte: int | None = None) -> Reading:
        """The bytes from ``start_byte`` up to and without ``end_byte``. Raises NotFound."""

    def write(self, path: str, source: Source, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        """Keeps what ``source`` gives, whole or not at all. Raises IntegrityError when it is not the ``sha256``."""

    def delete(self, path: str) -> None:
        """Removes the file or the tree; what is not there is fine."""


@runtime_checkable
class ResumableStorage(Protocol):
    """A place where an upload that broke off goes on, known by its path and the digest of the whole."""

    def received_bytes(self, path: str, *, sha256: str, size_bytes: int) -> int:
        """How much of the upload is there."""

    def append(self, path: str, source: Source, *, sha256: str, size_bytes: int, offset_bytes: int) -> None:
        """Adds what ``source`` gives; the artifact appears once it is whole. Raises Conflict, IntegrityError."""
