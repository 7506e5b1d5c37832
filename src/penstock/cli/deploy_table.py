"""Rows as aligned text, with colours where a terminal has them: the same words on a terminal, in a pipe, in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.text import Text

Style = Callable[[str], str]
_STATES = {"InService": "green", "Failed": "red", "OutOfService": "red", "UpdateRollbackFailed": "red"}


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], *, styles: Mapping[str, Style] | None = None) -> Text:
    """The rows under their header, two spaces between columns, nothing cut off; ``styles`` colour a column's cells."""
    table = [list(row) for row in rows]
    widths = [max(len(row[index]) for row in [list(header), *table]) for index in range(len(header))]
    lines = [_line(list(header), widths, ["dim"] * len(header))]
    for row in table:
        chosen = [(styles or {}).get(title, _plain)(cell) for title, cell in zip(header, row, strict=True)]
        lines.append(_line(row, widths, chosen))
    return Text("\n").join(lines)


def _line(cells: list[str], widths: list[int], styles: list[str]) -> Text:
    line = Text()
    for index, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
        last = index == len(cells) - 1
        line.append(cell, style)
        line.append("" if last else " " * (width - len(cell) + 2))
    line.rstrip()
    return line


def _plain(_cell: str) -> str:
    return ""


def state_style(cell: str) -> str:
    """The colour of an endpoint's status."""
    return _STATES.get(cell.partition(":")[0], "yellow")


def facts(pairs: Iterable[tuple[str, str | Text]]) -> Text:
    """Lines of a label and what is to be said under it; pairs with nothing to say are left out."""
    shown = [(label, value) for label, value in pairs if value]
    width = max((len(label) for label, _ in shown), default=0)
    lines = [Text.assemble((f"  {label:<{width}}  ", "dim"), value) for label, value in shown]
    return Text("\n").join(lines)
