"""``penstock push``, ``pull`` and ``images``: images without a container engine."""

from __future__ import annotations

from typing import cast

import click

from penstock.api import images as api
from penstock.cli.command import command
from penstock.cli.images_table import decimal_size, differences, drawn, image_table, listed
from penstock.cli.lazy import LazyGroup
from penstock.cli.table import IMAGES
from penstock.cli.terminal import Terminal
from penstock.oci.types import Format

_FORMAT = click.option(
    "--format",
    type=click.Choice(["docker", "oci"]),
    default="docker",
    show_default=True,
    help="The manifest's form; SageMaker takes docker only.",
)


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
    terminal.emit(listed(stored), text=lambda row: row["digest"])


@command("ls")
def ls(terminal: Terminal) -> None:
    """List the images that are kept here."""
    terminal.emit([listed(image) for image in api.list_images()], text=image_table)


@command("show")
@click.argument("image")
@click.option("--sbom", is_flag=True, help="Print its bill of materials (CycloneDX JSON) instead.")
def show(terminal: Terminal, image: str, sbom: bool) -> None:
    """Draw IMAGE: its layers with sizes and why each is there, its packages, its start."""
    if sbom:
        Terminal(output="json").emit(api.image_sbom(image, progress=terminal.progress))
    else:
        terminal.emit(api.show_image(image, progress=terminal.progress), text=drawn)


@command("diff")
@click.argument("before")
@click.argument("after")
def diff(terminal: Terminal, before: str, after: str) -> None:
    """Say which packages, files and bytes differ between two images."""
    terminal.emit(api.diff_images(before, after, progress=terminal.progress), text=differences)


@command("prune")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove every image, not only those without a name.")
def prune(terminal: Terminal, names: tuple[str, ...], everything: bool) -> None:
    """Remove the images NAMES, or those that lost their name, and all layers that nothing uses."""
    pruned = api.prune_images(names, everything=everything)
    terminal.emit(
        pruned, text=lambda done: f"{len(done.images)} images removed, {decimal_size(done.freed_bytes)} freed"
    )


images = LazyGroup("images", rows=IMAGES, help="Look into, compare and clear images.")
