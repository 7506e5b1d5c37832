"""Unpacks layers, trusting nothing in them: no entry lands outside the directory, whatever its name and links say.

Names are resolved inside the directory as a container would see them; ".." is refused; devices are not made; set-uid
bits are dropped; sizes and counts have limits. A layer counts only when its whole tar had the promised diff_id.

Whiteouts (OCI image specification, layer.md) have two forms: "overlay" keeps each layer in a directory of its own, fit
to be a lowerdir of an overlay mount; "merge" applies them to one directory that all layers are unpacked into.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from penstock.ground.errors import IntegrityError, InvalidInput, NotImplementedHere, TooLarge
from penstock.ground.files import ensure_directory, locked, remove_tree, storage_errors
from penstock.oci.blob import Layer
from penstock.oci.compression import DAMAGE, decompressed
from penstock.oci.digests import DigestingReader, mismatch
from penstock.oci.image import Image
from penstock.oci.tar_reader import TarReader
from penstock.oci.tree import Tree, Whiteouts
from penstock.oci.types import Compression

_HOSTILE_ERRNOS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EINVAL, errno.EISDIR, errno.EILSEQ)


class Limits(Struct, frozen=True):
    """What one layer may unpack to before it is taken for a bomb."""

    size_bytes: int = 64 << 30
    entries: int = 1_000_000


class Unpacked(Struct, frozen=True):
    """What was found in a layer; ``devices`` were left out."""

    entries: int
    size_bytes: int
    devices: int


def unpack_layer(
    blob: BinaryIO,
    directory: Path,
    *,
    expected_diff_id: str,
    whiteouts: Whiteouts = "overlay",
    compression: Compression = "gzip",
    limits: Limits | None = None,
) -> Unpacked:
    """Unpacks the layer into ``directory`` and says what was in it.

    Raises IntegrityError (damaged, or another diff_id), InvalidInput (a hostile entry), TooLarge (a bomb); what was
    unpacked until then stays and must not be used: ``ensure_unpacked`` sees to that.
    """
    ensure_directory(directory)
    reader = _Bounded(_opened(blob, compression), limits or Limits())
    tree = Tree(directory, whiteouts)
    with _damage(), storage_errors(directory):
        tar = TarReader(reader)
        for member in tar:
            reader.count_entry()
            tree.add(member, tar)
        tree.finish()
        reader.drain()
    if reader.digest != expected_diff_id:
        raise mismatch("The unpacked layer", expected=expected_diff_id, actual=reader.digest)
    return Unpacked(reader.entries, reader.size_bytes, tree.devices)


def ensure_unpacked(layer: Layer, directory: Path, *, limits: Limits | None = None) -> Path:
    """``directory`` holding the layer, whole, as an overlay's lowerdir; unpacked once, whoever asks and whenever."""
    with locked(directory.with_name(f".{directory.name}.lock")):
        if directory.exists():
            return directory
        partial = directory.with_name(f".{directory.name}.partial")
        remove_tree(partial)
        try:
            with layer.open() as blob:
                unpack_layer(
                    blob, partial, expected_diff_id=layer.diff_id, compression=layer.compression, limits=limits
                )
            partial.rename(directory)
        finally:
            remove_tree(partial)
    return directory


def unpack_image(image: Image, directory: Path, *, limits: Limits | None = None) -> None:
    """Unpacks all layers into one ``directory``, upper ones over lower ones."""
    for layer in image.layers:
        with layer.open() as blob:
            unpack_layer(
                blob,
                directory,
                expected_diff_id=layer.diff_id,
                whiteouts="merge",
                compression=layer.compression,
                limits=limits,
            )


class _Bounded(DigestingReader):
    """The uncompressed tar, hashed, and cut off where it becomes absurd."""

    def __init__(self, source: BinaryIO, limits: Limits) -> None:
        super().__init__(source)
        self._limits = limits
        self.entries = 0

    def read(self, size: int = -1) -> bytes:
        chunk = super().read(size)
        if self.size_bytes > self._limits.size_bytes:
            raise self._bomb(f"{self._limits.size_bytes} bytes")
        return chunk

    def count_entry(self) -> None:
        self.entries += 1
        if self.entries > self._limits.entries:
            raise self._bomb(f"{self._limits.entries} entries")

    def _bomb(self, what: str) -> TooLarge:
        return TooLarge(f"The layer unpacks to more than {what}.", fix="Do not use it, or raise the limit.")


def _opened(blob: BinaryIO, compression: Compression) -> BinaryIO:
    if compression == "zstd":
        raise NotImplementedHere(
            "The layer is compressed with zstd, which is not read here.", fix="Use a base image whose layers are gzip."
        )
    return decompressed(blob) if compression == "gzip" else blob


@contextmanager
def _damage() -> Iterator[None]:
    """Turns what the decompressor and the kernel say of broken and hostile layers into our errors."""
    try:
        yield
    except DAMAGE as error:
        raise IntegrityError(f"The layer is damaged: {error}.", fix="Pull it again.") from error
    except OSError as error:
        if error.errno not in _HOSTILE_ERRNOS:
            raise
        raise InvalidInput(f"The layer cannot be unpacked: {error.strerror}.", fix="Do not use it.") from error
