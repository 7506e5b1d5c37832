"""The figures of many calls in one file, and what is made of them: one table and one drawing."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

from tracking_parts.rows import ROWS, Row
from tracking_parts.stores import STORES

Figures = dict[str, Any]
INK = {"penstock": "#0a7d6c", "mlflow": "#c2571a"}
DASHES = ("", "7 4", "2 3")


def read(path: Path) -> Figures:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def add(path: Path, store: str, kind: str, name: str, figures: object) -> None:
    """Keeps one row's figures beside those of earlier calls; the same row again takes the place of the old one."""
    whole = read(path)
    whole.setdefault(store, {}).setdefault(kind, {})[name] = figures
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1))


def table(path: Path) -> str:
    """Every row measured so far, as Markdown."""
    whole = read(path)
    lines = []
    for store in STORES:
        kept = whole.get(store, {})
        if not kept:
            continue
        lines += [f"### {store}", "", "| work | MLflow | Penstock | ratio | wanted | limit here |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [_line(row, kept["rows"][row.what], store) for row in ROWS if row.what in kept.get("rows", {})]
        lines += [_life(name, figures) for name, figures in kept.get("life", {}).items()]
        lines.append("")
    return "\n".join(lines)


def medians(rounds: dict[str, list[list[float]]]) -> dict[str, tuple[float, float]]:
    """For each server the medians of its rate and of its CPU milliseconds."""
    return {
        name: (statistics.median(one[0] for one in each), statistics.median(one[1] for one in each))
        for name, each in rounds.items()
        if each
    }


def _line(row: Row, figures: Figures, store: str) -> str:
    found = medians(figures["rounds"])
    wanted = row.wanted[store] if isinstance(row.wanted, dict) else row.wanted
    ours, theirs = found.get("penstock"), found.get(row.against)
    ratio = f"**{ours[0] / theirs[0]:.1f}x**" if ours and theirs else ""
    limit = f"{_number(figures['limit'])}/s {row.limit_is}" if figures.get("limit") else ""
    cells = [row.what, _rate(theirs), _rate(ours), ratio, f"{wanted:g}x", limit]
    return f"| {' | '.join(cells)} |"


def _life(name: str, figures: Figures) -> str:
    ours, theirs = (statistics.median(figures[server]) for server in ("penstock", "mlflow"))
    cells = [name, _number(theirs), _number(ours), f"**{theirs / ours:.0f}x**", figures["wanted"], ""]
    return f"| {' | '.join(cells)} |"


def _rate(found: tuple[float, float] | None) -> str:
    return f"{_number(found[0])}/s, {_number(found[1])} ms CPU" if found else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def drawing(path: Path) -> str:
    """The curves of a growing table as an SVG: milliseconds, logarithmic, over points in the table."""
    whole = read(path)
    panels = [
        _panel(store, whole[store]["growth"], place)
        for place, store in enumerate(store for store in STORES if "growth" in whole.get(store, {}))
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {20 + 480 * len(panels)} 400" '
        'font-family="system-ui, sans-serif" font-size="12" role="img" '
        'aria-label="Latency of tracking calls while a run grows to a million metric points">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(store: str, growth: Figures, place: int) -> str:
    left, top, width, height = 70 + 480 * place, 40, 380, 240
    last = max(x for curves in growth.values() for curve in curves.values() for x, _ in curve)

    def at(x: float, y: float) -> str:
        share = (math.log10(max(y, 0.1)) + 1) / 5  # 0.1 ms to 10 s
        return f"{left + width * x / last:.1f},{top + height * (1 - share):.1f}"

    title = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[store]
    parts = [f'<text x="{left}" y="{top - 14}" font-size="15" font-weight="600">{title}</text>']
    for power in range(-1, 5):
        y = float(at(0, 10.0**power).split(",")[1])
        parts.append(f'<path d="M{left} {y}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{10.0**power:g} ms</text>')
    for share in (0, 0.5, 1):
        x = left + width * share
        text = f"{last * share:,.0f}"
        parts.append(f'<text x="{x}" y="{top + height + 18}" text-anchor="middle">{text}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 36}" text-anchor="middle">points in the run</text>')
    for server, curves in growth.items():
        for dash, curve in zip(DASHES, curves.values(), strict=True):
            points = " ".join(at(x, y) for x, y in curve)
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{INK[server]}" stroke-width="2" '
                f'stroke-dasharray="{dash}"/>'
            )
    for row, (server, curves) in enumerate(growth.items()):
        parts += _legend(left, top + height + 58 + 16 * row, server, list(curves))
    return "".join(parts)


def _legend(left: int, y: int, server: str, names: list[str]) -> list[str]:
    parts = [f'<text x="{left - 60}" y="{y + 4}" fill="{INK[server]}" font-weight="600">{server}</text>']
    for place, (dash, name) in enumerate(zip(DASHES, names, strict=True)):
        x = left + 2 + 136 * place
        parts.append(f'<path d="M{x} {y}h24" stroke="{INK[server]}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.append(f'<text x="{x + 28}" y="{y + 4}" font-size="9">{name}</text>')
    return parts
