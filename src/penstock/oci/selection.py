"""From what a registry or a layout holds to one image: the entry for a platform, the image that a manifest tells of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from penstock.ground.errors import EnvironmentMismatch, IntegrityError, InvalidInput, UnsupportedMedia
from penstock.oci.blob import LayerBlob
from penstock.oci.image import Image
from penstock.oci.types import (
    COMPRESSIONS,
    Compression,
    Descriptor,
    Index,
    Manifest,
    Platform,
    RawManifest,
    decode_config,
)

MAX_CONFIG_BYTES = 16 << 20
_UNKNOWN = "unknown"  # the platform of attestations


def choose_entry(index: Index, platform: Platform, *, what: str) -> Descriptor:
    """The index's entry for the platform, attestations passed over. Raises EnvironmentMismatch naming the others."""
    offered = [entry for entry in index.manifests if entry.platform and entry.platform.os != _UNKNOWN]
    for entry in offered:
        if entry.platform is not None and platform.runs(entry.platform):
            return entry
    listed = ", ".join(str(entry.platform) for entry in offered) or "nothing"
    raise EnvironmentMismatch(f"{what} is not made for {platform}.", fix=f"It offers {listed}.")


def single(raw: RawManifest, *, what: str) -> Manifest:
    """The image manifest that ``raw`` is. Raises InvalidInput for an index, and for a config of absurd size."""
    manifest = raw.decode()
    if not isinstance(manifest, Manifest):
        raise InvalidInput(f"{what} is an index of indexes, which is not read here. Pull one of its images.")
    if manifest.config.size_bytes > MAX_CONFIG_BYTES:
        raise InvalidInput(f"{what} has a config of {manifest.config.size_bytes} bytes. Do not use it.")
    return manifest


def image_of(
    raw: RawManifest, config: bytes, *, platform: Platform | None, place: Callable[[str], Path], what: str
) -> Image:
    """The image whose layers lie, or will lie, where ``place`` says for their digests.

    Raises EnvironmentMismatch when its config is for another platform, IntegrityError when it has other layers.
    """
    manifest, decoded = single(raw, what=what), decode_config(config)
    if platform is not None and not platform.runs(decoded.platform):
        raise EnvironmentMismatch(f"{what} is made for {decoded.platform}, not for {platform}.", fix="Choose another.")
    diff_ids = decoded.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise IntegrityError(f"{what} has {len(manifest.layers)} layers and {len(diff_ids)} diff_ids. Build it again.")
    layers = tuple(
        LayerBlob(diff_id, layer.digest, layer.size_bytes, place(layer.digest), _compression(layer))
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
    )
    return Image(config=decoded, layers=layers, raw_config=config, raw_manifest=raw.content)


def _compression(layer: Descriptor) -> Compression:
    known = COMPRESSIONS.get(layer.media_type)
    if known is None:
        raise UnsupportedMedia(
            f"A layer has the media type {layer.media_type!r}.", fix="Choose an image of Linux layers."
        )
    return known
