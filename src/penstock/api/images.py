"""Images: build one from a model, keep it here, push it, pull it, look at it."""

from __future__ import annotations

from pathlib import Path

from penstock.api.resolve import resolve_model
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.store import ImageStore, StoredImage
from penstock.models.folder import read_model_folder
from penstock.oci.auth import DockerConfig
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.oci.types import Format, Platform


def build(
    model: str | Path,
    *,
    names: tuple[str, ...] = (),
    options: BuildOptions | None = None,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> BuiltImage:
    """The image that serves ``model`` (a folder or any model URI), kept here under ``names``.

    ``options`` say how; by default the base and the apt sources are the settings'.
    """
    known = settings or load_settings()
    how = options or BuildOptions(base=known.base_image, apt_sources=known.apt_sources)
    folder = read_model_folder(resolve_model(str(model)))
    store = ImageStore(known.cache_dir)
    with store.using():
        built = build_image(folder, options=how, cache_dir=known.cache_dir, progress=progress)
        store.keep(
            built.image,
            names=names,
            target=built.target,
            requirements=built.lock.requirements,
            base_name=how.base,
        )
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

    Credentials are those of ``docker login``. ``format`` "docker" is what SageMaker takes.
    """
    store = ImageStore((settings or load_settings()).cache_dir)
    with store.using(), RegistryClient(auth=DockerConfig()) as client:
        return client.push(found(image, store), reference, format=format, progress=progress)


def pull(
    reference: str,
    *,
    platform: str = "linux/amd64",
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> StoredImage:
    """The image at ``reference``, kept here under that name, every digest verified."""
    store = ImageStore((settings or load_settings()).cache_dir)
    with store.using(), RegistryClient(auth=DockerConfig()) as client:
        image = client.pull(reference, cache=store.blobs, platform=Platform.parse(platform), progress=progress)
        return store.keep(image, names=(reference,))


def found(image: BuiltImage | str, store: ImageStore) -> Image:
    """The image itself. Raises NotFound for a name that is not kept here."""
    return image.image if isinstance(image, BuiltImage) else store.image(store.get(image))
