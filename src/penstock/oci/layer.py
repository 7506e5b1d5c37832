"""Writes layers: the same entries give the same tar everywhere, and the same blob with the same compressor."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from msgspec import Struct

from penstock.ground.errors import IntegrityError, InvalidInput
from penstock.oci import tar
from penstock.oci.blob import Layer, LayerBlob
from penstock.oci.blob_writer import BlobWriter
from penstock.oci.cache import BlobCache
from penstock.oci.compression import BLOCK_BYTES

__all__ = ["Layer", "LayerBlob", "LayerEntry", "write_layer"]

EPOCH = 315532800  # 1980-01-01: code that writes zip files refuses earlier dates
Kind = Literal["file", "directory", "symlink", "hardlink"]
_TYPES = {"file": tar.FILE, "directory": tar.DIRECTORY, "symlink": tar.SYMLINK, "hardlink": tar.HARDLINK}
_MODES = {"file": 0o644, "directory": 0o755, "symlink": 0o777, "hardlink": 0o644}


class LayerEntry(Struct, frozen=True, kw_only=True):
    """One thing in a layer. ``name`` is a path without a leading '/', like "opt/ml/model/MLmodel".

    A file's ``content`` is its bytes, a path to read them from, or something that opens a stream of exactly
    ``size_bytes`` bytes. A symlink's ``link_target`` is free text; a hardlink's is another entry's name.
    """

    name: str
    kind: Kind = "file"
    mode: int | None = None
    content: bytes | Path | Callable[[], BinaryIO] = b""
    size_bytes: int | None = None
    link_target: str = ""


def write_layer(
    entries: Iterable[LayerEntry], cache: BlobCache, *, key: str | None = None, mtime: int | None = None
) -> LayerBlob:
    """The layer that holds ``entries`` in the order of their names, missing parent directories added with 0755.

    With a ``key`` that the cache knows, ``entries`` are not even looked at. ``mtime`` (seconds) of every entry is
    SOURCE_DATE_EPOCH or 1980-01-01. Raises InvalidInput for names that no layer can hold.
    """
    known = cache.find(key) if key is not None else None
    if known is not None:
        return known
    with cache.writing() as partial:
        blob = BlobWriter(partial, cache.compressor)
        for entry in _in_order(entries):
            _add(blob, entry, _epoch() if mtime is None else mtime)
        blob.write(tar.END)
        layer = blob.finish()
    if key is not None:
        cache.remember(key, layer)
    return layer


def _epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH") or EPOCH)


def _in_order(entries: Iterable[LayerEntry]) -> list[LayerEntry]:
    """All entries and their parents, each once, sorted; hard links last, so that their targets are there first."""
    named: dict[str, LayerEntry] = {}
    for entry in entries:
        name = _checked(entry.name)
        if name in named and not named[name].kind == entry.kind == "directory":
            raise InvalidInput(f"A layer cannot hold {name!r} twice.", fix="Leave one of the two out.")
        named[name] = entry
    for name in list(named):
        for parent in _parents(name):
            if named.setdefault(parent, LayerEntry(name=parent, kind="directory")).kind != "directory":
                raise InvalidInput(f"{parent} is not a directory, but the layer also holds {name}. Remove one of them.")
    for entry in named.values():
        if entry.kind == "hardlink" and named.get(entry.link_target, entry).kind != "file":
            raise InvalidInput(f"{entry.name} is a hard link to {entry.link_target!r}, no file of the layer. Add it.")
    return [named[name] for name in sorted(named, key=lambda name: (named[name].kind == "hardlink", name))]


def _parents(name: str) -> Iterator[str]:
    """The directories that ``name`` lies in, innermost first; strings, for this runs for every file of every wheel."""
    cut = name.rfind("/")
    while cut > 0:
        yield name[:cut]
        cut = name.rfind("/", 0, cut)


def _checked(name: str) -> str:
    parts = name.split("/")
    if not all(parts) or "." in parts or ".." in parts or "\0" in name or parts[-1].startswith(".wh."):
        raise InvalidInput(
            f"A layer cannot hold an entry named {name!r}.", fix="Use a relative path without '.', '..' and '.wh.'."
        )
    return name


def _add(blob: BlobWriter, entry: LayerEntry, mtime: int) -> None:
    content, size_bytes = _opened(entry)
    mode = entry.mode if entry.mode is not None else _MODES[entry.kind]
    with content:
        blob.write(
            tar.header(
                f"{entry.name}/" if entry.kind == "directory" else entry.name,
                kind=_TYPES[entry.kind],
                mode=mode,
                size_bytes=size_bytes,
                mtime=mtime,
                link=entry.link_target,
            )
        )
        _copy(content, blob, size_bytes, entry.name)
    blob.write(tar.padding(size_bytes))


def _copy(content: BinaryIO, blob: BlobWriter, size_bytes: int, name: str) -> None:
    left = size_bytes
    while left and (chunk := content.read(min(left, BLOCK_BYTES))):
        left -= len(chunk)
        blob.write(chunk)
    if left or content.read(1):
        raise IntegrityError(f"{name} is not {size_bytes} bytes long, as it said.", fix="It changed: try again.")


def _opened(entry: LayerEntry) -> tuple[BinaryIO, int]:
    """The entry's bytes and how many they are."""
    if entry.kind != "file":
        return io.BytesIO(), 0
    if isinstance(entry.content, bytes):
        return io.BytesIO(entry.content), len(entry.content)
    if isinstance(entry.content, Path):
        opened = entry.content.open("rb")
        return opened, os.fstat(opened.fileno()).st_size
    if entry.size_bytes is None:
        raise InvalidInput(f"The size of {entry.name} must be known before it is read. Give size_bytes.")
    return entry.content(), entry.size_bytes
