"""Where images may lie as files: an OCI layout folder, or a tar in the form of ``docker save``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from penstock.oci.archive import read_archive, write_archive
from penstock.oci.cache import BlobCache
from penstock.oci.image import Image
from penstock.oci.layout import read_layout, write_layout
from penstock.oci.types import Platform

FileForm = Literal["layout", "tar"]


def find_image_files(place: str, *, blobs: BlobCache, platform: str | None = None) -> Image | None:
    """The image in the OCI layout or archive at ``place`` (a ":tag" may follow), or None when there is neither."""
    path, tag = _split(place)
    wanted = Platform.parse(platform) if platform else None
    if (path / "index.json").is_file():
        return read_layout(path, tag=tag, platform=wanted)
    return read_archive(path, cache=blobs, tag=tag) if path.is_file() else None


def write_image_files(image: Image, path: Path, *, form: FileForm, name: str = "") -> None:
    """Writes the image at ``path``, which ``podman load``, ``docker load`` or ``skopeo`` take."""
    if form == "layout":
        write_layout(image, path, tag=name or "latest")
    else:
        write_archive(image, path, tags=[name] if name else [])


def _split(place: str) -> tuple[Path, str | None]:
    whole = Path(place.removeprefix("oci:"))
    if whole.exists() or ":" not in whole.name:
        return whole, None
    head, _, tag = str(whole).rpartition(":")
    return Path(head), tag
