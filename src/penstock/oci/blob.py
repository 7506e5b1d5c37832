"""Layers as values: what an image needs to know of one, and the one that lies in a file."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct

from penstock.ground.errors import UnsupportedMedia
from penstock.oci.types import LAYER_TYPES, Compression, Descriptor, Format


class Layer(Protocol):
    """A layer, wherever its bytes are. ``digest`` is of the bytes that travel, ``diff_id`` of the tar in them."""

    @property
    def diff_id(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def compression(self) -> Compression: ...

    def open(self) -> BinaryIO:
        """A fresh stream of the bytes that travel; the caller closes it."""


class LayerBlob(Struct, frozen=True):
    """A layer whose bytes lie in a file."""

    diff_id: str
    digest: str
    size_bytes: int
    path: Path
    compression: Compression = "gzip"

    def open(self) -> BinaryIO:
        return self.path.open("rb")


def describe(layer: Layer, format: Format) -> Descriptor:
    """The layer's descriptor in a manifest of that format: the bytes and the digest are the same in both."""
    media_type = LAYER_TYPES.get((format, layer.compression))
    if media_type is None:
        raise UnsupportedMedia(
            f"The layer {layer.digest} is compressed with {layer.compression}, which {format} images cannot carry.",
            fix="Choose the OCI format, or a base image whose layers are gzip.",
        )
    return Descriptor(media_type=media_type, digest=layer.digest, size_bytes=layer.size_bytes)
