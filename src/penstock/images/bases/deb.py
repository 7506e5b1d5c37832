"""A .deb as layer entries: an ar archive that holds two tars (deb(5))."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from penstock.ground.errors import EnvironmentMismatch, IntegrityError
from penstock.oci.layer import LayerEntry

try:  # only Ubuntu compresses its packages so
    import zstandard
except ImportError:
    HAS_ZSTD = False
else:
    HAS_ZSTD = True

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


class Deb(msgspec.Struct, frozen=True):
    """A package's control file and its files."""

    control: str
    entries: tuple[LayerEntry, ...]


def read_deb(path: Path) -> Deb:
    """What the package at ``path`` holds. Raises IntegrityError when it is damaged or not a package."""
    try:
        with path.open("rb") as file:
            members = dict(_ar_members(file))
        control = _tar(members, "control.tar")
        with control:
            text = _control(control)
        data = _tar(members, "data.tar")
        with data:
            return Deb(text, tuple(_entries(data)))
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError) as error:
        raise IntegrityError(
            f"{path.name} is not a readable Debian package: {error}.", fix="Fetch it again."
        ) from error


def _ar_members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("it is no ar archive")
    while header := file.read(_AR_HEADER):
        name, size = header[:16].decode("ascii").rstrip(" /"), int(header[48:58])
        content = file.read(size + size % 2)
        if header[58:60] != b"`\n" or len(content) < size:
            raise ValueError(f"its member {name!r} is cut short")
        yield name, content[:size]


def _tar(members: dict[str, bytes], stem: str) -> tarfile.TarFile:
    for name, content in members.items():
        if name.startswith(stem):
            return tarfile.open(fileobj=io.BytesIO(_plain(name, content)), mode="r:*")
    raise ValueError(f"it has no {stem}")


def _plain(name: str, content: bytes) -> bytes:
    if not name.endswith(".zst"):
        return content
    if not HAS_ZSTD:
        raise EnvironmentMismatch("This package is compressed with zstd.", fix="pip install zstandard.")
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


def _control(tar: tarfile.TarFile) -> str:
    member = next((member for member in tar if member.name.removeprefix("./") == "control"), None)
    extracted = tar.extractfile(member) if member else None
    if extracted is None:
        raise ValueError("it has no control file")
    return extracted.read().decode()


def _entries(tar: tarfile.TarFile) -> Iterator[LayerEntry]:
    for member in tar:
        name = member.name.removeprefix("./").strip("/")
        if name in ("", "."):
            continue
        mode = member.mode & 0o7777
        if member.isdir():
            yield LayerEntry(name=name, kind="directory", mode=mode)
        elif member.issym():
            yield LayerEntry(name=name, kind="symlink", link_target=member.linkname)
        elif member.islnk():
            yield LayerEntry(name=name, kind="hardlink", mode=mode, link_target=member.linkname.removeprefix("./"))
        elif member.isfile():
            extracted = tar.extractfile(member)
            yield LayerEntry(name=name, mode=mode, content=extracted.read() if extracted else b"")
        else:
            raise ValueError(f"{name} is neither a file, a folder nor a link")
