"""From an image in the plane's own registry to unpacked layers: by digest, verified, each layer unpacked once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from penstock.ground.errors import IntegrityError, NotFound
from penstock.ground.files import ensure_directory
from penstock.oci.blob import LayerBlob
from penstock.oci.digests import hex_of, verify
from penstock.oci.storage import RegistryStorage
from penstock.oci.types import (
    COMPRESSIONS,
    DOCKER_MANIFEST,
    Descriptor,
    ImageConfig,
    Manifest,
    decode_config,
    decode_manifest,
)
from penstock.oci.unpack import ensure_unpacked

UNPACKERS = 2


class PulledImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image ready to run: ``layers`` are its layers' directories, the top one first."""

    digest: str
    config: ImageConfig
    layers: tuple[Path, ...] = ()


class LayerShelf:
    """Unpacked layers, each under its diff_id; shared by every plane and container of this cache directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def pull(self, storage: RegistryStorage, repository: str, digest: str) -> PulledImage:
        """The image unpacked. Raises NotFound, IntegrityError, or what unpacking a layer raises."""
        manifest = manifest_of(storage, repository, digest)
        config = config_of(storage, repository, manifest)
        if len(config.rootfs.diff_ids) != len(manifest.layers):
            raise IntegrityError(
                f"The image {digest} lists {len(manifest.layers)} layers and {len(config.rootfs.diff_ids)} diff_ids.",
                fix="Build and push it again.",
            )
        ensure_directory(self.directory)
        pairs = list(zip(manifest.layers, config.rootfs.diff_ids, strict=True))
        with ThreadPoolExecutor(UNPACKERS) as pool:
            layers = list(pool.map(lambda pair: self._unpacked(storage, repository, *pair), pairs))
        return PulledImage(digest=digest, config=config, layers=tuple(reversed(layers)))

    def _unpacked(self, storage: RegistryStorage, repository: str, layer: Descriptor, diff_id: str) -> Path:
        """The directory of one layer; the diff_id it is checked against comes from the config, which was verified."""
        blob = LayerBlob(
            diff_id, layer.digest, layer.size_bytes, blob_path(storage, repository, layer.digest),
            COMPRESSIONS.get(layer.media_type, "gzip"),
        )  # fmt: skip
        return ensure_unpacked(blob, self.directory / hex_of(diff_id))


def manifest_of(storage: RegistryStorage, repository: str, version: str) -> Manifest:
    """The manifest of a single image, verified. Raises NotFound, IntegrityError."""
    stored = storage.find_manifest(repository, version)
    if stored is None:
        raise NotFound(f"The repository {repository} has no image {version}.", fix="Push it first.")
    verify(stored.content, digest=stored.digest, what="The manifest")
    manifest = decode_manifest(stored.content, media_type=stored.media_type)
    if not isinstance(manifest, Manifest) or manifest.media_type != DOCKER_MANIFEST:
        raise NotFound(f"{version} is a {stored.media_type}.", fix="Push a single Docker schema 2 image.")
    return manifest


def config_of(storage: RegistryStorage, repository: str, manifest: Manifest) -> ImageConfig:
    """The image's config, verified."""
    content = blob_path(storage, repository, manifest.config.digest).read_bytes()
    return decode_config(verify(content, digest=manifest.config.digest, what="The image config"))


def blob_path(storage: RegistryStorage, repository: str, digest: str) -> Path:
    """The file of a blob. Raises NotFound."""
    path = storage.find_blob(repository, digest)
    if path is None:
        raise NotFound(f"The repository {repository} has no blob {digest}.", fix="Push the image again.")
    return path
