"""Images: build one from a model, keep it here, push it, pull it, look into it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from penstock.api.resolve import resolve_model
from penstock.ground.errors import NotFound
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.difference import ImageDifference, compare_images
from penstock.images.dockerfile import write_context
from penstock.images.inspect import ImageView, build_view
from penstock.images.model import read_model_files
from penstock.images.outdated import Outdated, find_outdated
from penstock.images.places import FileForm, find_image_files, write_image_files
from penstock.images.store import ImageStore, StoredImage
from penstock.models.folder import read_model_folder
from penstock.oci.auth import DockerConfig
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.oci.types import Format, Platform


class SaveTo(msgspec.Struct, frozen=True):
    """A file to write an image to: an OCI layout folder, or a tar that ``docker load`` and ``podman load`` take."""

    form: FileForm
    path: Path


class Pruned(msgspec.Struct, frozen=True):
    """What ``prune_images`` removed."""

    images: tuple[str, ...]
    freed_bytes: int


def build(
    model: str | Path,
    *,
    names: tuple[str, ...] = (),
    options: BuildOptions | None = None,
    save_to: SaveTo | None = None,
    context: Path | None = None,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> BuiltImage:
    """The image that serves ``model`` (a folder or any model URI), kept here under ``names``.

    ``options`` say how; by default the base and the apt sources are the settings'. ``save_to`` writes the image to
    files besides; ``context`` is a new folder for a Dockerfile that makes about the same, and all that it copies.
    """
    known = settings or load_settings()
    how = options or BuildOptions(base=known.base_image, apt_sources=known.apt_sources)
    folder = read_model_folder(resolve_model(str(model)))
    store = ImageStore(known.cache_dir)
    with store.using():
        built = build_image(folder, options=how, cache_dir=known.cache_dir, progress=progress)
        wanted = built.lock.requirements
        store.keep(built.image, names=names, target=built.target, requirements=wanted, base_name=how.base)
        if save_to is not None:
            write_image_files(built.image, save_to.path, form=save_to.form, name=next(iter(names), ""))
    if context is not None:
        write_context(context, built.lock, built.base, read_model_files(folder))
    return built


def push(
    image: BuiltImage | str,
    reference: str,
    *,
    format: Format = "docker",
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> str:
    """The digest of ``image`` (one that was built, or the name or digest of one kept here) once it is at ``reference``.

    Credentials are those of ``docker login``. SageMaker takes the ``format`` "docker" only.
    """
    store = ImageStore((settings or load_settings()).cache_dir)
    with store.using(), RegistryClient(auth=DockerConfig()) as client:
        pushed = image.image if isinstance(image, BuiltImage) else find_image(image, store)
        if pushed is None:
            raise NotFound(f"No image {image!r} is kept here.", fix="Build it, or see `penstock images ls`.")
        return client.push(pushed, reference, format=format, progress=progress)


def pull(
    reference: str, *, platform: str = "linux/amd64", settings: Settings | None = None, progress: Progress = SILENT
) -> StoredImage:
    """The image at ``reference``, kept here under that name, every digest verified."""
    store = ImageStore((settings or load_settings()).cache_dir)
    with store.using(), RegistryClient(auth=DockerConfig()) as client:
        image = client.pull(reference, cache=store.blobs, platform=Platform.parse(platform), progress=progress)
        return store.keep(image, names=(reference,))


def list_images(*, settings: Settings | None = None) -> tuple[StoredImage, ...]:
    """The images kept here, the newest first."""
    return ImageStore((settings or load_settings()).cache_dir).list()


def show_image(name: str, *, settings: Settings | None = None, progress: Progress = SILENT) -> ImageView:
    """What an image is made of. ``name`` is one kept here, a layout, an archive, or a reference, which is pulled."""
    store = ImageStore((settings or load_settings()).cache_dir)
    with store.using():
        stored = store.find(name)
        return build_view(_image(name, store, progress), names=stored.names if stored else (name,))


def diff_images(
    before: str, after: str, *, settings: Settings | None = None, progress: Progress = SILENT
) -> ImageDifference:
    """How two images differ: packages, files, start, and the bytes of the second that the first has not."""
    store = ImageStore((settings or load_settings()).cache_dir)
    with store.using():
        return compare_images(_image(before, store, progress), _image(after, store, progress))


def outdated_image(name: str, *, settings: Settings | None = None, progress: Progress = SILENT) -> Outdated:
    """What a rebuild of an image that was built here would change today; nothing is changed by asking."""
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    stored = store.get(name)
    return find_outdated(
        store.image(stored), stored, apt_sources=known.apt_sources, cache_dir=known.cache_dir, progress=progress
    )


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


def _image(name: str, store: ImageStore, progress: Progress) -> Image:
    found = find_image(name, store)
    if found is not None:
        return found
    with RegistryClient(auth=DockerConfig()) as client:
        return client.pull(name, cache=store.blobs, progress=progress)
