"""The cache of blobs: named by what they hold, whole or absent, shared by processes, sound after a kill at any moment.

    blobs/sha256/<hex>      bytes, moved here by one rename when they are complete and their digest is known
    layers/<hex>.json       what a key made: written after its blob, so it never promises more than there is
    partial/                bytes on their way; a file that nobody holds a lock on is a dead writer's and is swept

No fsync: after a power cut a blob may be shorter than it was, which ``find`` notices by its size; it can be remade.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from penstock.ground.files import ensure_directory, storage_errors
from penstock.oci.blob import LayerBlob
from penstock.oci.compression import BEST, Compressor
from penstock.oci.digests import hex_of
from penstock.oci.types import Compression

_CUT_DOWNLOAD = ".download"
_CUT_DOWNLOAD_KEPT_SECONDS = 7 * 24 * 3600


class _Record(Struct, frozen=True):
    """What lies in a layer's record; ``key`` is there for the reader, the file's name is its hash."""

    diff_id: str
    digest: str
    size_bytes: int
    compression: Compression
    key: str


class BlobCache:
    """Compressed layers and other blobs under one directory."""

    def __init__(self, directory: Path, *, compressor: Compressor = BEST) -> None:
        self.directory = directory
        self.compressor = compressor
        self._blobs = ensure_directory(directory / "blobs" / "sha256")
        self._layers = ensure_directory(directory / "layers")
        self._partial = ensure_directory(directory / "partial")
        self._sweep()

    def path(self, digest: str) -> Path:
        """Where the blob of that digest lies, or would lie."""
        return self._blobs / hex_of(digest)

    def find_blob(self, digest: str, *, size_bytes: int | None = None) -> Path | None:
        """The blob's file, if it is here (and has that size)."""
        path = self.path(digest)
        with suppress(FileNotFoundError):
            if size_bytes is None or path.stat().st_size == size_bytes:
                return path if path.exists() else None
        return None

    def find(self, key: str) -> LayerBlob | None:
        """The layer made earlier for ``key`` by this cache's compressor, if all of it is still here."""
        try:
            record = msgspec.json.decode(self._record_path(key).read_bytes(), type=_Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        path = self.find_blob(record.digest, size_bytes=record.size_bytes)
        if path is None:
            return None
        return LayerBlob(record.diff_id, record.digest, record.size_bytes, path, record.compression)

    def remember(self, key: str, layer: LayerBlob) -> None:
        """Makes ``find(key)`` give ``layer``, whose blob is in this cache."""
        record = _Record(layer.diff_id, layer.digest, layer.size_bytes, layer.compression, key)
        with self.writing() as partial:
            partial.file.write(msgspec.json.encode(record))
            partial.move_to(self._record_path(key))

    @contextmanager
    def writing(self) -> Iterator[Partial]:
        """A new blob: write to its ``file``, then ``keep`` it under its digest; otherwise nothing stays."""
        with self._held(self._partial / f"{secrets.token_hex(12)}.partial") as partial:
            yield partial

    @contextmanager
    def downloading(self, digest: str) -> Iterator[Partial]:
        """A blob whose digest is known beforehand; what an earlier cut left of it is at the start of its ``file``.

        One process at a time: a second one waits, and finds the blob here when it is its turn.
        """
        with self._held(self._partial / f"{hex_of(digest)}{_CUT_DOWNLOAD}", resumable=True) as partial:
            yield partial

    def _record_path(self, key: str) -> Path:
        name = sha256("\0".join((key, self.compressor.id)).encode()).hexdigest()
        return self._layers / f"{name}.json"

    @contextmanager
    def _held(self, path: Path, *, resumable: bool = False) -> Iterator[Partial]:
        with storage_errors(path), _locked(path) as file:
            try:
                yield Partial(path, file, self)
            finally:
                file.flush()
                if _is_at(path, file) and not (resumable and os.fstat(file.fileno()).st_size):
                    path.unlink()

    def _sweep(self) -> None:
        """Removes what killed writers left; a cut download stays a week, to be resumed."""
        for path in self._partial.iterdir():
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                age_seconds = time.time() - path.stat().st_mtime
                if path.suffix != _CUT_DOWNLOAD or age_seconds > _CUT_DOWNLOAD_KEPT_SECONDS:
                    path.unlink()


class Partial:
    """A blob on its way into the cache."""

    def __init__(self, path: Path, file: BinaryIO, cache: BlobCache) -> None:
        self.file = file
        self._path = path
        self._cache = cache

    def keep(self, digest: str) -> Path:
        """Moves what was written to its place under ``digest``, which the caller has made sure of."""
        return self.move_to(self._cache.path(digest))

    def move_to(self, target: Path) -> Path:
        """Moves what was written to ``target``, in one step."""
        self.file.flush()
        self._path.replace(target)
        return target


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file at ``path``, open for reading and writing at its start, alone; made if it is not there."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                yield file
                return


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether ``file`` is still what lies at ``path``, neither moved nor replaced."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False
