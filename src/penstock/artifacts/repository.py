"""What callers hold: one place for artifacts, with files and trees going in and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from penstock.artifacts.download import download_file
from penstock.artifacts.paths import artifact_path, join_path
from penstock.artifacts.port import ArtifactStorage, Reading, ResumableStorage
from penstock.artifacts.streams import Source, WatchedReader
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.entities import FileInfo
from penstock.ground.errors import Conflict, InvalidInput, NotFound, NotImplementedHere, Unavailable
from penstock.ground.files import inside, sha256_of
from penstock.ground.progress import SILENT, Phase, Progress

_ATTEMPTS = 5
# The first pause after a broken upload; each next one is twice as long. A server may still be writing what was in
# flight when the line broke, and says so with a Conflict.
_PAUSE_SECONDS = 0.1
# From this size on, asking whether a file is there already costs less than sending it again.
_LARGE_BYTES = 8 << 20


class ArtifactRepository:
    """A storage behind the gate that every path has to pass (see paths.artifact_path), with the sugar on top."""

    def __init__(self, storage: ArtifactStorage, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._storage = storage
        self._clock = clock

    @property
    def uri(self) -> str:
        return self._storage.uri

    def list(self, path: str = "") -> tuple[FileInfo, ...]:
        """The direct children of the directory ``path``, by name; none for a file and for what is not there."""
        return self._storage.list(artifact_path(path))

    def find(self, path: str) -> FileInfo | None:
        """What is at ``path``: a file, a directory, or None."""
        return self._storage.find(artifact_path(path))

    def files(self, path: str = "") -> Iterator[FileInfo]:
        """Every file at or below ``path``, depth first by name."""
        own = self.find(path)
        if own is not None and not own.is_dir:
            yield own
            return
        for info in self.list(path):
            if info.is_dir:
                yield from self.files(info.path)
            else:
                yield info

    def open(self, path: str, *, start_byte: int = 0, end_byte: int | None = None) -> Reading:
        """The bytes from ``start_byte`` up to and without ``end_byte``. Raises NotFound."""
        return self._storage.open(artifact_path(path), start_byte=start_byte, end_byte=end_byte)

    def write(self, path: str, source: Source, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        """Keeps what ``source`` gives as the file ``path``, whole or not at all. Raises IntegrityError."""
        self._storage.write(_file_path(path), source, size_bytes=size_bytes, sha256=sha256)

    @property
    def resumes(self) -> bool:
        """Whether an upload may go on where it broke off (see ``received_bytes`` and ``append``)."""
        return isinstance(self._storage, ResumableStorage)

    def received_bytes(self, path: str, *, sha256: str, size_bytes: int) -> int:
        """How much of an upload that broke off is there. Raises NotImplementedHere."""
        return self._resumable().received_bytes(_file_path(path), sha256=sha256, size_bytes=size_bytes)

    def append(self, path: str, source: Source, *, sha256: str, size_bytes: int, offset_bytes: int) -> None:
        """Adds to an upload; the artifact appears once it is whole. Raises Conflict, IntegrityError."""
        self._resumable().append(
            _file_path(path), source, sha256=sha256, size_bytes=size_bytes, offset_bytes=offset_bytes
        )

    def _resumable(self) -> ResumableStorage:
        if not isinstance(self._storage, ResumableStorage):
            raise NotImplementedHere("Uploads do not resume in this storage.", fix="Send the file in one piece.")
        return self._storage

    def upload(self, local: Path, path: str, *, progress: Progress = SILENT) -> None:
        """Keeps the file ``local`` as ``path``, with its checksum. Raises NotFound, IntegrityError."""
        if not local.is_file():
            raise NotFound(f"There is no file {local} to upload.", fix="Check the path.")
        with progress.phase(f"Uploading {local.name}") as phase:
            self._send(local, _file_path(path), phase)

    def upload_tree(self, local_dir: Path, path: str = "", *, progress: Progress = SILENT) -> None:
        """Keeps every file below ``local_dir`` under ``path``; large ones that are there already are not sent again."""
        if not local_dir.is_dir():
            raise NotFound(f"There is no folder {local_dir} to upload.", fix="Check the path.")
        with progress.phase(f"Uploading {local_dir.name}") as phase:
            for local in files_below(local_dir):
                phase.detail(str(local.relative_to(local_dir)))
                self._send(local, join_path(artifact_path(path), local.relative_to(local_dir).as_posix()), phase)

    def _send(self, local: Path, path: str, phase: Phase) -> None:
        size, digest = local.stat().st_size, sha256_of(local)
        if size >= _LARGE_BYTES and self._holds(path, size, digest):
            return
        for attempt in range(_ATTEMPTS):
            with local.open("rb") as file:
                watched = WatchedReader(file, lambda passed: phase.advance(passed, size))
                try:
                    self._storage.write(path, watched, size_bytes=size, sha256=digest)
                except (Unavailable, Conflict):
                    if attempt == _ATTEMPTS - 1:
                        raise
                else:
                    return
            self._clock.sleep(_PAUSE_SECONDS * 2**attempt)

    def _holds(self, path: str, size_bytes: int, sha256: str) -> bool:
        """Whether an earlier upload, perhaps of a tree that was interrupted, left exactly this file."""
        info = self._storage.find(path)
        if info is None or info.size_bytes != size_bytes:
            return False
        with self._storage.open(path) as reading:
            return reading.sha256 == sha256

    def download(self, path: str, local: Path, *, progress: Progress = SILENT) -> Path:
        """``local``, now holding the file or the tree ``path``; an interrupted download goes on where it stopped."""
        clean = artifact_path(path)
        info = self._storage.find(clean)
        if info is None:
            raise NotFound(f"There is no artifact {path!r} under {self.uri}.", fix="List the artifacts first.")
        with progress.phase(f"Downloading {clean or self.uri}") as phase:
            if not info.is_dir:
                return download_file(self._storage, info, local, phase)
            local.mkdir(parents=True, exist_ok=True)
            for file in self.files(clean):
                relative = file.path[len(clean) :].lstrip("/")
                download_file(self._storage, file, inside(local, relative), phase)
        return local

    def delete(self, path: str) -> None:
        """Removes the file or the tree at ``path``; what is not there is fine."""
        self._storage.delete(artifact_path(path))


def _file_path(text: str) -> str:
    path = artifact_path(text)
    if not path or text.endswith("/"):
        raise InvalidInput(f"{text!r} does not name a file.", fix="Give the artifact a name.")
    return path


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files below ``folder`` by name, links followed. Raises InvalidInput for a link that leads back up."""
    real = folder.resolve()
    if real in above:
        raise InvalidInput(f"{folder} leads back into itself.", fix="Remove the link.")
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            yield from files_below(entry, (*above, real))
        else:
            yield entry
