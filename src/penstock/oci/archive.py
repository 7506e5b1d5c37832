"""Images as one tar file, in the form of ``docker save``: what ``docker load`` and ``podman load`` take.

Source: Docker's image specification v1.2 (manifest.json). Layers stay compressed as they are; reading one that is
not compressed compresses it, so that it can be pushed.
"""

from __future__ import annotations

import io
import posixpath
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import msgspec
from msgspec import Struct

from penstock.ground.errors import IntegrityError, InvalidInput, NotFound
from penstock.ground.files import writing
from penstock.oci import tar
from penstock.oci.blob import LayerBlob
from penstock.oci.blob_writer import BlobWriter
from penstock.oci.cache import BlobCache, Partial
from penstock.oci.compression import BLOCK_BYTES, DAMAGE, decompressed
from penstock.oci.digests import DigestingReader, digest_of, hex_of, mismatch
from penstock.oci.image import Image
from penstock.oci.layer import EPOCH
from penstock.oci.tar_reader import TarReader
from penstock.oci.types import decode_config

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DOCUMENT_BYTES = 16 << 20


class _Entry(Struct, rename="pascal"):
    """One image in manifest.json."""

    config: str
    layers: tuple[str, ...]
    repo_tags: tuple[str, ...] | None = None


def write_archive(image: Image, path: Path, *, tags: Sequence[str] = ()) -> None:
    """Writes the image to the tar at ``path``, whole or not at all; ``tags`` are names such as "iris:v1"."""
    config = image.config_bytes()
    names = {layer.digest: f"{hex_of(layer.digest)}.tar.gz" for layer in image.layers}
    entry = _Entry(
        f"{hex_of(digest_of(config))}.json", tuple(names[layer.digest] for layer in image.layers), tuple(tags)
    )
    with writing(path) as file:
        for layer in {layer.digest: layer for layer in image.layers}.values():
            with layer.open() as stream:
                _add(file, names[layer.digest], stream, layer.size_bytes)
        for name, content in ((entry.config, config), ("manifest.json", msgspec.json.encode([entry]))):
            _add(file, name, io.BytesIO(content), len(content))
        file.write(tar.END)


def read_archive(path: Path, *, cache: BlobCache, tag: str | None = None) -> Image:
    """The image called ``tag`` (or the only one) in the tar at ``path``, its layers in ``cache``, diff_ids checked.

    Raises InvalidInput (not such a tar), NotFound, IntegrityError.
    """
    with path.open("rb") as file:
        places = _places(file)
        entry = _choose(_read(file, places, "manifest.json", path), tag, path)
        raw_config = _read(file, places, entry.config, path)
        config = decode_config(raw_config)
        if len(config.rootfs.diff_ids) != len(entry.layers):
            raise IntegrityError(f"{path} has other layers than its config says. Save it again.")
        layers = [
            _layer(_slice(file, places, name, path), diff_id, cache)
            for name, diff_id in zip(entry.layers, config.rootfs.diff_ids, strict=True)
        ]
    return Image(config=config, layers=tuple(layers), raw_config=raw_config)


class _Place(Struct, frozen=True):
    """Where an entry's content lies in the tar; ``link`` names the entry that it is the same as."""

    start: int
    size_bytes: int
    link: str


class _Slice:
    """One entry's content as a stream."""

    def __init__(self, file: BinaryIO, place: _Place) -> None:
        self._file = file
        self._left = place.size_bytes
        file.seek(place.start)

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        return piece


def _add(file: BinaryIO, name: str, content: BinaryIO, size_bytes: int) -> None:
    file.write(tar.header(name, kind=tar.FILE, mode=0o644, size_bytes=size_bytes, mtime=EPOCH))
    shutil.copyfileobj(content, file, BLOCK_BYTES)
    file.write(tar.padding(size_bytes))


def _places(file: BinaryIO) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for member in TarReader(file):
        name = str(PurePosixPath(member.name))
        link = str(PurePosixPath(name).parent / member.link) if member.kind == tar.SYMLINK else ""
        places[name] = _Place(file.tell(), member.size_bytes, member.link if member.kind == tar.HARDLINK else link)
    return places


def _slice(file: BinaryIO, places: dict[str, _Place], name: str, path: Path) -> _Slice:
    place = places.get(name)
    if place is not None and place.link:  # older engines store a repeated layer as a link to its first copy
        place = places.get(posixpath.normpath(place.link))
    if place is None:
        raise InvalidInput(f"{path} holds no {name}: it is not an image saved by 'docker save', or not all of it.")
    return _Slice(file, place)


def _read(file: BinaryIO, places: dict[str, _Place], name: str, path: Path) -> bytes:
    return _slice(file, places, name, path).read(_MAX_DOCUMENT_BYTES)


def _choose(content: bytes, tag: str | None, path: Path) -> _Entry:
    try:
        entries = msgspec.json.decode(content, type=list[_Entry])
    except msgspec.DecodeError as error:
        raise InvalidInput(f"manifest.json in {path} cannot be read: {error}. Save the image again.") from error
    found = [entry for entry in entries if tag is None or tag in (entry.repo_tags or ())]
    if len(found) != 1:
        held = ", ".join(name for entry in entries for name in entry.repo_tags or ("an unnamed image",)) or "nothing"
        raise NotFound(f"{path} holds no single image to take.", fix=f"Name one by its tag; it holds {held}.")
    return found[0]


def _layer(content: _Slice, diff_id: str, cache: BlobCache) -> LayerBlob:
    """The layer in the cache, compressed if it was not; a gzip one keeps its bytes. Raises IntegrityError."""
    source = cast(BinaryIO, content)
    head = source.read(len(_GZIP_MAGIC))
    with cache.writing() as partial:
        layer = (_kept if head == _GZIP_MAGIC else _compressed)(_Again(head, source), partial, cache)
    if layer.diff_id != diff_id:
        raise mismatch("A layer of the archive", expected=diff_id, actual=layer.diff_id)
    return layer


class _Again:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head + self._rest.read(max(0, size - len(head)) if size >= 0 else size)


def _kept(source: _Again, partial: Partial, _cache: BlobCache) -> LayerBlob:
    digesting = DigestingReader(cast(BinaryIO, source))
    shutil.copyfileobj(digesting, partial.file, BLOCK_BYTES)
    partial.file.seek(0)
    tarred = DigestingReader(decompressed(partial.file))
    try:
        tarred.drain()
    except DAMAGE as error:
        raise IntegrityError(f"A layer of the archive is damaged: {error}.", fix="Save the image again.") from error
    path = partial.keep(digesting.digest)
    return LayerBlob(tarred.digest, digesting.digest, digesting.size_bytes, path)


def _compressed(source: _Again, partial: Partial, cache: BlobCache) -> LayerBlob:
    blob = BlobWriter(partial, cache.compressor)
    while piece := source.read(BLOCK_BYTES):
        blob.write(piece)
    return blob.finish()
