"""How images, their layers and their differences are drawn on a terminal."""

from __future__ import annotations

from typing import cast

from rich.console import Group
from rich.table import Table

from penstock.images.difference import Change, ImageDifference
from penstock.images.inspect import ImageView
from penstock.images.store import StoredImage


def listed(image: StoredImage) -> dict[str, object]:
    """The row of an image, as JSON has it."""
    return {
        "digest": image.digest,
        "names": list(image.names),
        "size_bytes": image.size_bytes,
        "platform": image.target.platform if image.target else None,
        "made_ms": image.made_ms,
    }


def image_table(rows: list[dict[str, object]]) -> Table:
    """The images kept here."""
    table = Table("digest", "names", "size", box=None, header_style="bold")
    for row in rows:
        names = ", ".join(cast("list[str]", row["names"])) or "[dim]none[/]"
        table.add_row(str(row["digest"])[:19], names, decimal_size(cast(int, row["size_bytes"])))
    return table


def drawn(view: ImageView) -> Group:
    """An image: its layers with sizes and why each is there."""
    table = Table("size", "layer", "why", box=None, header_style="bold")
    table.columns[0].justify = "right"
    for layer in view.layers:
        table.add_row(decimal_size(layer.size_bytes), layer.digest[7:19], layer.note or "[dim]not said[/]")
    table.add_row(f"[bold]{decimal_size(view.size_bytes)}[/]", "", f"{view.platform}; {' '.join(view.entrypoint)}")
    return Group(view.digest, table)


def differences(difference: ImageDifference) -> Group | str:
    """What differs between two images."""
    if difference.is_empty:
        return "The images hold the same."
    tables = [
        change_table("package", difference.packages),
        change_table("Debian package", difference.debian_packages),
        change_table("setting", difference.config),
    ]
    files = Table("file", "before", "after", box=None, header_style="bold")
    for file in difference.files:
        files.add_row(
            file.name,
            *(decimal_size(size) if size is not None else "-" for size in (file.before_bytes, file.after_bytes)),
        )
    travel = f"{decimal_size(difference.new_bytes)} differ, {decimal_size(difference.same_bytes)} are the same"
    return Group(*(table for table in (*tables, files) if table.row_count), travel)


def change_table(what: str, changes: tuple[Change, ...]) -> Table:
    """Names whose values differ."""
    table = Table(what, "before", "after", box=None, header_style="bold")
    for change in changes:
        table.add_row(change.name, change.before or "-", change.after or "-")
    return table


def decimal_size(size_bytes: int) -> str:
    """A size for a person, in decimal units as registries count: "124.4 MB"."""
    amount, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
