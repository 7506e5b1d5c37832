"""``penstock build`` and ``penstock images outdated``: what needs the builder and its package sources."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from rich.console import Group
from rich.text import Text

from penstock.api import images_build as api
from penstock.cli.command import command
from penstock.cli.images_table import change_table, drawn
from penstock.cli.terminal import Terminal
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings
from penstock.images.build import BuildOptions, BuiltImage
from penstock.images.dockerfile import dockerfile as dockerfile_of
from penstock.images.inspect import ImageView, build_view
from penstock.images.outdated import Outdated
from penstock.images.places import FileForm

_PRINTED = Path("-")


@command("build")
@click.argument("model")
@click.option("-t", "--tag", "tags", multiple=True, help="A name to keep the image under; may be given several times.")
@click.option("--platform", default="linux/amd64", show_default=True, help="linux/amd64 or linux/arm64.")
@click.option("--base", help="auto, debian, an image reference, an OCI layout or an archive.")
@click.option("--python", help="The Python version, where the model does not say its own.")
@click.option("--no-model", is_flag=True, help="Leave the model out; the platform puts it under /opt/ml/model.")
@click.option("--gpu", is_flag=True, help="Allow CUDA libraries in the image.")
@click.option("--refresh", is_flag=True, help="Ask package sources anew instead of using what a build chose before.")
@click.option("--save", metavar="FORM:PATH", help="Also write it to files: layout:DIRECTORY or tar:FILE.")
@click.option(
    "--dockerfile",
    type=click.Path(path_type=Path),
    help="Also write a build context to this new folder; - only prints the Dockerfile.",
)
def build(terminal: Terminal, model: str, tags: tuple[str, ...], dockerfile: Path | None, **given: str | bool) -> None:
    """Build the image that serves MODEL: a folder, models:/name@alias, name@alias or runs:/id/path."""
    built = api.build(
        model,
        names=tags,
        options=_options(given),
        save_to=_save_to(cast("str | None", given["save"])),
        context=None if dockerfile == _PRINTED else dockerfile,
        progress=terminal.progress,
    )
    for remark in built.remarks:
        terminal.note(f"[yellow]note[/] {remark}")
    if dockerfile == _PRINTED:
        text = dockerfile_of(built.lock, built.base.name)
        terminal.emit({"dockerfile": text}, text=lambda made: Text(made["dockerfile"].rstrip()))
    else:
        terminal.emit(_summary(built, tags), text=drawn)


def _options(given: dict[str, str | bool]) -> BuildOptions:
    settings = load_settings({"base_image": cast("str | None", given["base"])})
    return BuildOptions(
        base=settings.base_image,
        apt_sources=settings.apt_sources,
        platform=str(given["platform"]),
        python=cast("str | None", given["python"]),
        with_model=not given["no_model"],
        gpu=bool(given["gpu"]),
        refresh=bool(given["refresh"]),
    )


def _save_to(text: str | None) -> api.SaveTo | None:
    if text is None:
        return None
    form, _, path = text.partition(":")
    if form not in ("layout", "tar") or not path:
        raise InvalidInput(f"{text!r} is no place to save to.", fix="Use --save layout:DIRECTORY or --save tar:FILE.")
    return api.SaveTo(cast(FileForm, form), Path(path))


def _summary(built: BuiltImage, names: tuple[str, ...]) -> ImageView:
    return build_view(built.image, names=names)


@command("outdated")
@click.argument("image")
def outdated(terminal: Terminal, image: str) -> None:
    """Say what a rebuild of IMAGE would change today."""
    terminal.emit(api.outdated_image(image, progress=terminal.progress), text=_outdated)


def _outdated(found: Outdated) -> Group | str:
    if not (found.packages or found.debian_packages):
        return "A rebuild would change nothing."
    tables = (change_table("package", found.packages), change_table("Debian package", found.debian_packages))
    return Group(*(table for table in tables if table.row_count))
