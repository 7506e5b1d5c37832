"""Images: push one, pull it, look into it, clear it away. (``images_build`` makes them.)"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.api.registry_login import RegistryLogins, open_registry
from penstock.ground.errors import NotFound
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.contents import SBOM_PATH, find_file
from penstock.images.difference import ImageDifference, compare_images
from penstock.images.inspect import ImageView, build_view
from penstock.images.places import find_image_files
from penstock.images.store import ImageStore, StoredImage
from penstock.oci.image import Image
from penstock.oci.reference import Reference
from penstock.oci.types import Format, Platform


class Pruned(msgspec.Struct, frozen=True):
    """What ``prune_images`` removed."""

    images: tuple[str, ...]
    freed_bytes: int


def push(
    image: Image | str,
    reference: str,
    *,
    format: Format = "docker",
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> str:
    """The digest of ``image`` (itself, or the name or digest of one kept here) once it is at ``reference``.

    For ECR the credentials are those of AWS, and a repository that is not there is made; for other registries they are
    those of ``docker login``. SageMaker takes the ``format`` "docker" only.
    """
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    with store.using(), open_registry(known) as client:
        found = image if isinstance(image, Image) else find_image(image, store)
        if found is None:
            raise NotFound(f"No image {image!r} is kept here.", fix="Build it, or see `penstock images ls`.")
        try:
            return client.push(found, reference, format=format, progress=progress)
        except NotFound:
            if not RegistryLogins(known).make_repository(Reference.parse(reference)):
                raise
        return client.push(found, reference, format=format, progress=progress)


def pull(
    reference: str, *, platform: str = "linux/amd64", settings: Settings | None = None, progress: Progress = SILENT
) -> StoredImage:
    """The image at ``reference``, kept here under that name, every digest verified."""
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    with store.using(), open_registry(known) as client:
        image = client.pull(reference, cache=store.blobs, platform=Platform.parse(platform), progress=progress)
        return store.keep(image, names=(reference,))


def list_images(*, settings: Settings | None = None) -> tuple[StoredImage, ...]:
    """The images kept here, the newest first."""
    return ImageStore((settings or load_settings()).cache_dir).list()


def show_image(name: str, *, settings: Settings | None = None, progress: Progress = SILENT) -> ImageView:
    """What an image is made of. ``name`` is one kept here, a layout, an archive, or a reference, which is pulled."""
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    with store.using():
        stored = store.find(name)
        return build_view(_image(name, known, store, progress), names=stored.names if stored else (name,))


def image_sbom(name: str, *, settings: Settings | None = None, progress: Progress = SILENT) -> dict[str, Any]:
    """The bill of materials in an image that Penstock built: CycloneDX as decoded JSON. Raises NotFound for others."""
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    with store.using():
        content = find_file(_image(name, known, store, progress), SBOM_PATH)
    if content is None:
        raise NotFound(f"{name} holds no bill of materials.", fix="Build it with Penstock.")
    bill: dict[str, Any] = msgspec.json.decode(content)
    return bill


def diff_images(
    before: str, after: str, *, settings: Settings | None = None, progress: Progress = SILENT
) -> ImageDifference:
    """How two images differ: packages, files, start, and the bytes of the second that the first has not."""
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    with store.using():
        return compare_images(*(_image(name, known, store, progress) for name in (before, after)))


def prune_images(names: tuple[str, ...] = (), *, everything: bool = False, settings: Settings | None = None) -> Pruned:
    """Removes the images called ``names``, those that lost their last name, or all; then the layers nothing uses."""
    store = ImageStore((settings or load_settings()).cache_dir)
    named = [store.get(name) for name in names]
    gone = list(store.list()) if everything else named or [image for image in store.list() if not image.names]
    for image in gone:
        store.forget(image)
    return Pruned(tuple(image.digest for image in gone), store.prune())


def find_image(name: str, store: ImageStore) -> Image | None:
    """The image called ``name`` that is kept here, or lies in a layout or an archive; None when there is none."""
    stored = store.find(name)
    return store.image(stored) if stored else find_image_files(name, blobs=store.blobs)


def _image(name: str, known: Settings, store: ImageStore, progress: Progress) -> Image:
    found = find_image(name, store)
    if found is not None:
        return found
    with open_registry(known) as client:
        return client.pull(name, cache=store.blobs, progress=progress)
