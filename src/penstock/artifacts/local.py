"""Artifacts in a folder of this machine."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from penstock.artifacts.paths import join_path
from penstock.artifacts.port import Reading
from penstock.artifacts.streams import CheckedReader, SliceReader, Source, Stream
from penstock.artifacts.uploads import PartialFile
from penstock.ground.entities import FileInfo
from penstock.ground.errors import InvalidInput, NotFound
from penstock.ground.files import CHUNK_BYTES, inside, remove_tree, writing

# Where the file system can, the digest travels with the file itself, so that serving 5 GB needs no second pass.
_DIGEST_ATTRIBUTE = "user.penstock.sha256"


def folder_of(uri: str) -> Path:
    """The folder that a ``file:`` URI or a plain path names. Raises InvalidInput for a host, a query or a fragment."""
    if not uri.startswith("file:"):
        return Path(uri).expanduser().absolute()
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or ";" in parts.path:
        raise InvalidInput(f"{uri!r} does not name a folder here.", fix="Use file:///an/absolute/path.")
    return Path(unquote(parts.path)).absolute()


def open_local(uri: str, *, tracking_uri: str | None = None) -> LocalStorage:
    """The storage in the folder that ``uri`` names."""
    return LocalStorage(folder_of(uri))


class LocalStorage:
    """The folder ``root``; links inside it that lead out of it are not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uri(self) -> str:
        return self.root.as_uri()

    def list(self, path: str) -> tuple[FileInfo, ...]:
        folder = inside(self.root, path)
        if not folder.is_dir():
            return ()
        names = sorted(entry.name for entry in folder.iterdir())
        infos = (self.find(join_path(path, name)) for name in names if not _is_partial(name))
        return tuple(info for info in infos if info is not None)

    def find(self, path: str) -> FileInfo | None:
        try:
            place = inside(self.root, path)
            status = place.stat()
        except (InvalidInput, FileNotFoundError, NotADirectoryError):
            return None
        if place.is_dir():
            return FileInfo(path=path, is_dir=True)
        return FileInfo(path=path, is_dir=False, size_bytes=status.st_size)

    def open(self, path: str, *, start_byte: int = 0, end_byte: int | None = None) -> Reading:
        try:
            file = inside(self.root, path).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(
                f"There is no artifact {path!r} under {self.uri}.", fix="List the artifacts first."
            ) from None
        version = _version(file)
        file.seek(start_byte)
        stream: Stream = file if end_byte is None else SliceReader(file, max(end_byte - start_byte, 0))
        return Reading(
            stream,
            size_bytes=os.fstat(file.fileno()).st_size,
            start_byte=start_byte,
            version=version,
            sha256=_kept_digest(file, version),
        )

    def write(self, path: str, source: Source, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        checked = CheckedReader(source, f"The artifact {path!r}", size_bytes=size_bytes, sha256=sha256)
        with writing(inside(self.root, path)) as file:
            shutil.copyfileobj(checked, file, CHUNK_BYTES)
            file.flush()
            _keep_digest(file, checked.digest())

    def received_bytes(self, path: str, *, sha256: str, size_bytes: int) -> int:
        return PartialFile(inside(self.root, path), sha256=sha256, size_bytes=size_bytes).received_bytes()

    def append(self, path: str, source: Source, *, sha256: str, size_bytes: int, offset_bytes: int) -> None:
        partial = PartialFile(inside(self.root, path), sha256=sha256, size_bytes=size_bytes)
        file = partial.append(source, offset_bytes=offset_bytes)
        if file is not None:
            _keep_digest(file, sha256)
            partial.place(file)

    def delete(self, path: str) -> None:
        remove_tree(inside(self.root, path))


def _is_partial(name: str) -> bool:
    return name.startswith(".") and name.endswith(".partial")


def _version(file: BinaryIO) -> str:
    status = os.fstat(file.fileno())
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _keep_digest(file: BinaryIO, digest: str) -> None:
    with suppress(OSError):  # a file system without user attributes: readers then check the size only
        os.setxattr(file.fileno(), _DIGEST_ATTRIBUTE, f"{digest} {_version(file)}".encode())


def _kept_digest(file: BinaryIO, version: str) -> str | None:
    """The digest written with the file, unless somebody changed the file in place since."""
    try:
        digest, _, of_version = os.getxattr(file.fileno(), _DIGEST_ATTRIBUTE).decode().partition(" ")
    except OSError:
        return None
    return digest if of_version == version else None
