"""Small images for tests, and a look into layers."""

from __future__ import annotations

from pathlib import Path

from penstock.oci.blob import Layer
from penstock.oci.cache import BlobCache
from penstock.oci.image import Image, empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.types import Platform, RuntimeConfig

AMD64 = Platform("linux", "amd64")


def make_image(directory: Path, *, model: bytes = b"model", platform: Platform = AMD64) -> Image:
    """Two layers, a base and a model, in a cache at ``directory``."""
    cache = BlobCache(directory)
    layers = [
        write_layer([LayerEntry(name="base", content=b"base" * 100_000)], cache),
        write_layer([LayerEntry(name="opt/ml/model/MLmodel", content=model)], cache),
    ]
    runtime = RuntimeConfig(entrypoint=("serve",), env=("PATH=/bin",), labels={"model": "iris"})
    return empty_image(platform).configured(runtime).append(layers, notes=("base", "model"))


def content(layer: Layer) -> bytes:
    """All of the layer's blob."""
    with layer.open() as stream:
        return stream.read()
