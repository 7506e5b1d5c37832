"""An image drawn for people: its layers with sizes and why each is there, its start, its labels."""

from __future__ import annotations

import msgspec

from penstock.images.contents import debian_versions, locked_versions
from penstock.oci.image import Image


class LayerView(msgspec.Struct, frozen=True):
    """One layer; ``note`` is why it is there, as its history says."""

    note: str
    size_bytes: int
    digest: str
    diff_id: str


class ImageView(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be said of an image without running it; ``digest`` is of Docker's manifest."""

    digest: str
    names: tuple[str, ...]
    platform: str
    size_bytes: int
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    labels: dict[str, str]
    layers: tuple[LayerView, ...]
    packages: dict[str, str]
    debian_packages: dict[str, str]


def build_view(image: Image, *, names: tuple[str, ...] = ()) -> ImageView:
    """The view of ``image``."""
    runtime = image.config.runtime
    return ImageView(
        digest=image.digest(),
        names=names,
        platform=str(image.platform),
        size_bytes=image.size_bytes,
        entrypoint=runtime.entrypoint or (),
        command=runtime.cmd or (),
        user=runtime.user,
        labels=runtime.labels or {},
        layers=layer_views(image),
        packages=locked_versions(image),
        debian_packages=debian_versions(image),
    )


def layer_views(image: Image) -> tuple[LayerView, ...]:
    """The layers, lowest first."""
    told = [entry.created_by for entry in image.config.history or () if not entry.empty_layer]
    notes = [*told, *[""] * (len(image.layers) - len(told))]
    return tuple(
        LayerView(note, layer.size_bytes, layer.digest, layer.diff_id)
        for note, layer in zip(notes, image.layers, strict=False)
    )
