"""One artifact into one local file: resumable, checked, and there only when it is whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from penstock.artifacts.port import ArtifactStorage, Reading
from penstock.ground.entities import FileInfo
from penstock.ground.errors import IntegrityError, Unavailable
from penstock.ground.files import CHUNK_BYTES, ensure_directory, storage_errors
from penstock.ground.progress import Phase

_ATTEMPTS = 3


def download_file(storage: ArtifactStorage, info: FileInfo, local: Path, phase: Phase) -> Path:
    """``local``, holding the artifact. Raises IntegrityError, StorageFailed, Unavailable.

    The bytes gather in ``.<name>.<version>.partial`` beside it; a later call finds them and goes on from there as long
    as the artifact's version is still that one.
    """
    ensure_directory(local.parent)
    for _ in range(_ATTEMPTS - 1):
        try:
            return _attempt(storage, info, local, phase)
        except Unavailable:
            phase.detail(f"{info.path}: trying again")
    return _attempt(storage, info, local, phase)


def _attempt(storage: ArtifactStorage, info: FileInfo, local: Path, phase: Phase) -> Path:
    kept = _kept_part(local, info.size_bytes)
    start = kept.stat().st_size if kept else 0
    with storage.open(info.path, start_byte=start) as reading:
        partial = _partial_path(local, reading.version)
        if kept is None or (kept == partial and reading.start_byte == start):
            return _gather(reading, partial, local, phase)
    kept.unlink()
    return _attempt(storage, info, local, phase)


def _partial_path(local: Path, version: str | None) -> Path:
    token = hashlib.sha256((version or "").encode()).hexdigest()[:16]
    return local.with_name(f".{local.name}.{token}.partial")


def _kept_part(local: Path, size_bytes: int | None) -> Path | None:
    """What an interrupted download left; leftovers that cannot be gone on from are removed."""
    pattern = re.compile(rf"\.{re.escape(local.name)}\.[0-9a-f]{{16}}\.partial")
    parts = [entry for entry in local.parent.iterdir() if pattern.fullmatch(entry.name)]
    useful = [
        part
        for part in parts
        if part != _partial_path(local, None) and size_bytes is not None and 0 < part.stat().st_size < size_bytes
    ]
    for part in set(parts) - set(useful[:1]):
        part.unlink()
    return useful[0] if useful else None


def _gather(reading: Reading, partial: Path, local: Path, phase: Phase) -> Path:
    with storage_errors(local), partial.open("ab") as file:
        digest = _copied_digest(reading, partial, file, lambda done: phase.advance(done, reading.size_bytes))
        file.flush()
        os.fsync(file.fileno())
    _check(reading, partial, digest)
    return partial.replace(local)


def _copied_digest(reading: Reading, partial: Path, file: BinaryIO, watch: Callable[[int], None]) -> str:
    """The SHA-256 of all the bytes in ``partial``: those it held and those that ``reading`` gives now."""
    with partial.open("rb") as before:
        running = hashlib.file_digest(before, "sha256")
    done = reading.start_byte
    while chunk := reading.read(CHUNK_BYTES):
        running.update(chunk)
        file.write(chunk)
        done += len(chunk)
        watch(done)
    return running.hexdigest()


def _check(reading: Reading, partial: Path, digest: str) -> None:
    size = partial.stat().st_size
    short = reading.size_bytes is not None and size != reading.size_bytes
    if short or (reading.sha256 is not None and digest != reading.sha256):
        partial.unlink()
        raise IntegrityError(f"{partial.name} arrived damaged: {size} bytes, SHA-256 {digest}.", fix="Try again.")
