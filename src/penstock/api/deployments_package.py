"""A model folder -> what a container runs: an image, and the model in it or in an archive beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from penstock.api.deployments_model import ModelSource, open_model
from penstock.api.registry_login import open_registry
from penstock.deploy.archive import write_archive
from penstock.deploy.kinds import Materials
from penstock.deploy.options import DeployOptions, platform_of
from penstock.deploy.request import ArchiveSource, ImageSource, Package
from penstock.ground.errors import InvalidInput
from penstock.ground.names import short_id
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.wheels.kept import keep_lock
from penstock.oci.image import Image


class Packed(Struct, frozen=True, kw_only=True):
    """A package and the bytes behind it; ``packages`` has those of variants that do not run the main one."""

    package: Package
    materials: Materials
    packages: dict[str, Package] = {}
    models: dict[str, ModelSource] = {}
    """The model that each variant serves; one entry under the plain variant's name when there is only that."""


def pack_all(
    model: str | Path | ModelSource | None,
    *,
    options: DeployOptions,
    image: BuiltImage | str | None,
    standing: Mapping[str, str],
    settings: Settings,
    progress: Progress = SILENT,
) -> Packed:
    """The packages of every variant: one for each model and architecture. ``standing``: the instance types there are.

    Raises InvalidInput when a variant has no model.
    """
    main = None if model is None else open_model(model)
    made: dict[tuple[str, str, str], Packed] = {}
    chosen: dict[str, Packed] = {}
    models: dict[str, ModelSource] = {}
    for name in options.variants or (options.variant,):
        wanted = options.of_variant(name)
        source = open_model(wanted.model) if wanted.model else main
        if source is None:
            raise InvalidInput(f"The variant {name!r} has no model.", fix=f"Give it one, or one for all: {_MODEL_FIX}.")
        kind = wanted.instance_type or standing.get(name) or (next(iter(standing.values()), None))
        key = (source.uri, platform_of(kind), wanted.image or "")
        if key not in made:
            given = (image if source is main else None) or wanted.image
            made[key] = pack(
                source, options=options, image=given, instance_type=kind, settings=settings, progress=progress
            )
        chosen[name], models[name] = made[key], source
    return _together(chosen, models)


_MODEL_FIX = "`model = ...` in the project file, or MODEL"


def _together(chosen: Mapping[str, Packed], models: dict[str, ModelSource]) -> Packed:
    """One value of all variants' packages; the first variant's is the main one."""
    packs = list(chosen.values())
    images = {digest: one for packed in packs for digest, one in packed.materials.images.items()}
    archives = {digest: path for packed in packs for digest, path in packed.materials.archives.items()}
    main = packs[0].package
    return Packed(
        package=main,
        materials=Materials(images=images, archives=archives),
        packages={name: packed.package for name, packed in chosen.items() if packed.package != main},
        models=models,
    )


def pack(
    model: ModelSource,
    *,
    options: DeployOptions,
    image: BuiltImage | str | None,
    settings: Settings,
    instance_type: str | None = None,
    progress: Progress = SILENT,
) -> Packed:
    """Builds what is missing: the image unless one is given, and the archive unless the model is in the image."""
    archive: ArchiveSource | None = None
    archives: dict[str, Path] = {}
    if options.model_in == "archive":
        with progress.phase("Pack the model"):
            archive, path = _archive(model, settings)
        archives[archive.sha256] = path
    platform = platform_of(instance_type or options.instance_type)
    source, images = _image(model, options, image, platform, settings, progress)
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
    platform: str,
    settings: Settings,
    progress: Progress,
) -> tuple[ImageSource, dict[str, Image]]:
    if isinstance(image, str):
        return ImageSource(reference=image), {}
    built = image or _build(model, options, platform, settings, progress)
    digest = built.image.digest("docker")
    source = ImageSource(
        repository=options.repository,
        digest=digest,
        architecture=built.image.platform.architecture,
        size_bytes=built.image.size_bytes,
        python=built.target.python,
    )
    return source, {digest: built.image}


def _build(
    model: ModelSource, options: DeployOptions, platform: str, settings: Settings, progress: Progress
) -> BuiltImage:
    how = BuildOptions(
        base=settings.base_image,
        platform=platform,
        with_model=options.model_in == "image",
        apt_sources=settings.apt_sources,
        gpu=options.gpu,
    )
    with open_registry(settings) as registry:
        built = build_image(
            model.folder, options=how, cache_dir=settings.cache_dir, registry=registry, progress=progress
        )
    keep_lock(model.folder.path, built.lock)
    return built
