"""Builds images from models, and says what building them again would change."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from penstock.api.registry_login import open_registry
from penstock.api.resolve import find_model, resolve_model
from penstock.ground.files import write_atomically
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.dockerfile import write_context
from penstock.images.model import read_model_files
from penstock.images.outdated import Outdated, find_outdated
from penstock.images.places import FileForm, write_image_files
from penstock.images.store import ImageStore
from penstock.images.wheels.kept import keep_lock
from penstock.models.folder import read_model_folder


class SaveTo(msgspec.Struct, frozen=True):
    """A file to write an image to: an OCI layout folder, or a tar that ``docker load`` and ``podman load`` take.

    Its bill of materials is written beside it, as PATH.cdx.json.
    """

    form: FileForm
    path: Path

    @property
    def sbom_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.cdx.json")


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
    """The image that serves ``model`` (a folder or any model URI), kept here under ``names``; its lock stays with it.

    ``options`` say how; by default the base and the apt sources are the settings'. ``save_to`` writes the image to
    files besides; ``context`` is a new folder for a Dockerfile that makes about the same, and all that it copies.
    """
    known = settings or load_settings()
    how = options or BuildOptions(base=known.base_image, apt_sources=known.apt_sources)
    found = find_model(str(model))
    if found.version is not None and not how.version:
        how = replace(how, version=f"{found.name}/{found.version}")
    folder = read_model_folder(resolve_model(str(model)))
    store = ImageStore(known.cache_dir)
    with store.using(), open_registry(known) as registry:
        built = build_image(folder, options=how, cache_dir=known.cache_dir, registry=registry, progress=progress)
        wanted = built.lock.requirements
        store.keep(built.image, names=names, target=built.target, requirements=wanted, base_name=how.base)
        if save_to is not None:
            write_image_files(built.image, save_to.path, form=save_to.form, name=next(iter(names), ""))
            write_atomically(save_to.sbom_path, built.sbom)
    keep_lock(folder.path, built.lock)
    if context is not None:
        write_context(context, built.lock, built.base, read_model_files(folder))
    return built


def outdated_image(name: str, *, settings: Settings | None = None, progress: Progress = SILENT) -> Outdated:
    """What a rebuild of an image that was built here would change today; nothing is changed by asking."""
    known = settings or load_settings()
    store = ImageStore(known.cache_dir)
    stored = store.get(name)
    return find_outdated(
        store.image(stored), stored, apt_sources=known.apt_sources, cache_dir=known.cache_dir, progress=progress
    )
