"""``penstock build``, ``push``, ``pull`` and ``images``: images without a container engine."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from rich.console import Group
from rich.table import Table

from penstock.api import images as api
from penstock.cli.command import command
from penstock.cli.terminal import Terminal
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings
from penstock.images.build import BuildOptions, BuiltImage
from penstock.images.difference import Change, ImageDifference
from penstock.images.inspect import ImageView, build_view
from penstock.images.outdated import Outdated
from penstock.images.places import FileForm
from penstock.images.store import StoredImage
from penstock.oci.types import Format

_FORMAT = click.option(
    "--format",
    type=click.Choice(["docker", "oci"]),
    default="docker",
    show_default=True,
    help="The manifest's form; SageMaker takes docker only.",
)


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
@click.option("--dockerfile", type=click.Path(path_type=Path), help="Also write a build context to this new folder.")
def build(terminal: Terminal, model: str, tags: tuple[str, ...], dockerfile: Path | None, **given: str | bool) -> None:
    """Build the image that serves MODEL: a folder, models:/name@alias, name@alias or runs:/id/path."""
    built = api.build(
        model,
        names=tags,
        options=_options(given),
        save_to=_save_to(cast("str | None", given["save"])),
        context=dockerfile,
        progress=terminal.progress,
    )
    for remark in built.remarks:
        terminal.note(f"[yellow]note[/] {remark}")
    terminal.emit(_summary(built, tags), text=_drawn)


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


@command("push")
@click.argument("image")
@click.argument("reference", required=False)
@_FORMAT
def push(terminal: Terminal, image: str, reference: str | None, format: str) -> None:
    """Push IMAGE (a name or digest, a layout or an archive) to REFERENCE, by default its own name."""
    digest = api.push(image, reference or image, format=cast(Format, format), progress=terminal.progress)
    terminal.emit({"reference": reference or image, "digest": digest}, text=lambda pushed: pushed["digest"])


@command("pull")
@click.argument("reference")
@click.option("--platform", default="linux/amd64", show_default=True, help="Which of an index's images.")
def pull(terminal: Terminal, reference: str, platform: str) -> None:
    """Pull the image at REFERENCE and keep it here, every digest verified."""
    stored = api.pull(reference, platform=platform, progress=terminal.progress)
    terminal.emit(_listed(stored), text=lambda row: row["digest"])


@command("ls")
def ls(terminal: Terminal) -> None:
    """List the images that are kept here."""
    terminal.emit([_listed(image) for image in api.list_images()], text=_list)


@command("show")
@click.argument("image")
def show(terminal: Terminal, image: str) -> None:
    """Draw IMAGE: its layers with sizes and why each is there, its packages, its start."""
    terminal.emit(api.show_image(image, progress=terminal.progress), text=_drawn)


@command("diff")
@click.argument("before")
@click.argument("after")
def diff(terminal: Terminal, before: str, after: str) -> None:
    """Say which packages, files and bytes differ between two images."""
    terminal.emit(api.diff_images(before, after, progress=terminal.progress), text=_differences)


@command("outdated")
@click.argument("image")
def outdated(terminal: Terminal, image: str) -> None:
    """Say what a rebuild of IMAGE would change today."""
    terminal.emit(api.outdated_image(image, progress=terminal.progress), text=_outdated)


@command("prune")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove every image, not only those without a name.")
def prune(terminal: Terminal, names: tuple[str, ...], everything: bool) -> None:
    """Remove the images NAMES, or those that lost their name, and all layers that nothing uses."""
    pruned = api.prune_images(names, everything=everything)
    terminal.emit(pruned, text=lambda done: f"{len(done.images)} images removed, {_size(done.freed_bytes)} freed")


images = click.Group("images", commands=[ls, show, diff, outdated, prune], help="Look into, compare and clear images.")


def _listed(image: StoredImage) -> dict[str, object]:
    return {
        "digest": image.digest,
        "names": list(image.names),
        "size_bytes": image.size_bytes,
        "platform": image.target.platform if image.target else None,
        "made_ms": image.made_ms,
    }


def _list(rows: list[dict[str, object]]) -> Table:
    table = Table("digest", "names", "size", box=None, header_style="bold")
    for row in rows:
        names = ", ".join(cast("list[str]", row["names"])) or "[dim]none[/]"
        table.add_row(str(row["digest"])[:19], names, _size(cast(int, row["size_bytes"])))
    return table


def _drawn(view: ImageView) -> Group:
    table = Table("size", "layer", "why", box=None, header_style="bold")
    table.columns[0].justify = "right"
    for layer in view.layers:
        table.add_row(_size(layer.size_bytes), layer.digest[7:19], layer.note or "[dim]not said[/]")
    table.add_row(f"[bold]{_size(view.size_bytes)}[/]", "", f"{view.platform}; {' '.join(view.entrypoint)}")
    return Group(view.digest, table)


def _differences(difference: ImageDifference) -> Group | str:
    if difference.is_empty:
        return "The images hold the same."
    tables = [
        _changes("package", difference.packages),
        _changes("Debian package", difference.debian_packages),
        _changes("setting", difference.config),
    ]
    files = Table("file", "before", "after", box=None, header_style="bold")
    for file in difference.files:
        files.add_row(
            file.name, *(_size(size) if size is not None else "-" for size in (file.before_bytes, file.after_bytes))
        )
    travel = f"{_size(difference.new_bytes)} differ, {_size(difference.same_bytes)} are the same"
    return Group(*(table for table in (*tables, files) if table.row_count), travel)


def _outdated(found: Outdated) -> Group | str:
    if not (found.packages or found.debian_packages):
        return "A rebuild would change nothing."
    tables = (_changes("package", found.packages), _changes("Debian package", found.debian_packages))
    return Group(*(table for table in tables if table.row_count))


def _changes(what: str, changes: tuple[Change, ...]) -> Table:
    table = Table(what, "before", "after", box=None, header_style="bold")
    for change in changes:
        table.add_row(change.name, change.before or "-", change.after or "-")
    return table


def _size(size_bytes: int) -> str:
    """A size for a person, in decimal units as registries count: "124.4 MB"."""
    amount, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
