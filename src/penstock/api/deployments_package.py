"""A model folder -> what a container runs: an image, and the model in it or in an archive beside it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from penstock.api.deployments_model import ModelSource
from penstock.deploy.archive import write_archive
from penstock.deploy.kinds import Materials
from penstock.deploy.options import DeployOptions
from penstock.deploy.request import ArchiveSource, ImageSource, Package
from penstock.ground.names import short_id
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.wheels.kept import keep_lock
from penstock.oci.image import Image


class Packed(Struct, frozen=True, kw_only=True):
    """A package and the bytes behind it."""

    package: Package
    materials: Materials


def pack(
    model: ModelSource,
    *,
    options: DeployOptions,
    image: BuiltImage | str | None,
    settings: Settings,
    progress: Progress = SILENT,
) -> Packed:
    """Builds what is missing: the image unless one is given, and the archive unless the model is in the image."""
    archive: ArchiveSource | None = None
    archives: dict[str, Path] = {}
    if options.model_in == "archive":
        with progress.phase("Pack the model"):
            archive, path = _archive(model, settings)
        archives[archive.sha256] = path
    source, images = _image(model, options, image, settings, progress)
    package = Package(image=source, archive=archive, model_uri=model.uri, model_version=model.version)
    return Packed(package=package, materials=Materials(images=images, archives=archives))


def _archive(model: ModelSource, settings: Settings) -> tuple[ArchiveSource, Path]:
    """The archive, kept in the cache under its own digest."""
    draft = settings.cache_dir / "archives" / f"{short_id()}.draft"
    source = write_archive(model.folder.path, draft)
    path = draft.with_name(f"{source.sha256}.tar.gz")
    draft.replace(path)
    return source, path


def _image(
    model: ModelSource,
    options: DeployOptions,
    image: BuiltImage | str | None,
    settings: Settings,
    progress: Progress,
) -> tuple[ImageSource, dict[str, Image]]:
    if isinstance(image, str):
        return ImageSource(reference=image), {}
    built = image or _build(model, options, settings, progress)
    digest = built.image.digest("docker")
    source = ImageSource(
        repository=options.repository,
        digest=digest,
        architecture=built.image.platform.architecture,
        size_bytes=built.image.size_bytes,
        python=built.target.python,
    )
    return source, {digest: built.image}


def _build(model: ModelSource, options: DeployOptions, settings: Settings, progress: Progress) -> BuiltImage:
    how = BuildOptions(
        base=settings.base_image,
        platform=options.platform,
        with_model=options.model_in == "image",
        apt_sources=settings.apt_sources,
        gpu=options.gpu,
    )
    built = build_image(model.folder, options=how, cache_dir=settings.cache_dir, progress=progress)
    keep_lock(model.folder.path, built.lock)
    return built
