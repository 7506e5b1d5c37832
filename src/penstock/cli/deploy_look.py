"""``penstock status``, ``logs``, ``metrics``, ``cost`` and ``history``."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.console import Group
from rich.text import Text

from penstock.api import deployments, deployments_operate
from penstock.cli.command import command
from penstock.cli.deploy_options import document, where
from penstock.cli.deploy_table import Style, columns, facts, state_style
from penstock.cli.terminal import Terminal
from penstock.deploy.cost import CostReport, EndpointCost
from penstock.deploy.logs import LogLine
from penstock.deploy.metrics import EndpointMetrics
from penstock.deploy.operate import Served
from penstock.deploy.status import EndpointStatus, VariantStatus
from penstock.ground.settings import Settings


@command("status")
@click.argument("name", required=False)
@click.option("--wait", is_flag=True, help="Wait until nothing is in progress.")
@where
def status(terminal: Terminal, *, name: str | None, wait: bool, to: str, settings: Settings) -> None:
    """Show one deployment, or all of them."""
    if name is None:
        found = deployments.list_deployments(to=to, settings=settings)
    else:
        found = (deployments.status(name, wait=wait, to=to, settings=settings, progress=terminal.progress),)
    value = document("status", found[0] if name else found) if terminal.output == "json" else found
    terminal.emit(value, text=_card if name else _status_table)


@command("logs")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Show new lines as they come.")
@click.option("--limit", default=50, show_default=True, help="How many of the last lines.")
@where
def logs(terminal: Terminal, *, name: str, follow: bool, limit: int, to: str, settings: Settings) -> None:
    """Show what the deployment's containers printed."""
    if follow:
        for line in deployments.follow_logs(name, to=to, settings=settings):
            terminal.emit(document("log", line) if terminal.output == "json" else _log_line(line))
        return
    lines = deployments.logs(name, limit=limit, to=to, settings=settings)
    text = "\n".join(map(_log_line, lines))
    terminal.emit(document("logs", lines) if terminal.output == "json" else text)


@command("metrics")
@click.argument("name")
@click.option("--minutes", default=60, show_default=True, help="How far back.")
@where
def metrics(terminal: Terminal, *, name: str, minutes: int, to: str, settings: Settings) -> None:
    """Show calls, errors and latencies."""
    found = deployments.metrics(name, minutes=minutes, to=to, settings=settings)
    terminal.emit(document("metrics", found) if terminal.output == "json" else found, text=_metrics_table)


@command("cost")
@where
def cost(terminal: Terminal, *, to: str, settings: Settings) -> None:
    """Sum what is running in the account and region, whoever made it."""
    found = deployments_operate.cost(to=to, settings=settings)
    terminal.emit(document("cost", found) if terminal.output == "json" else found, text=_cost_table)


@command("history")
@click.argument("name")
@where
def history(terminal: Terminal, *, name: str, to: str, settings: Settings) -> None:
    """Show what served when: model, version, image and who."""
    found = deployments_operate.history(name, to=to, settings=settings)
    terminal.emit(document("history", found) if terminal.output == "json" else found, text=_history_table)


def _status_table(found: tuple[EndpointStatus, ...]) -> Text:
    if not found:
        return Text("No deployments.")
    rows = [_status_row(one, variant) for one in found for variant in one.variants]
    header = ("name", "status", "variant", "instances", "weight", "model", "expires", "image")
    return columns(header, rows, styles={"name": lambda _: "bold", "status": state_style})


def _card(found: tuple[EndpointStatus, ...]) -> Group:
    """One endpoint in full."""
    one = found[0]
    head = Text.assemble(("● ", state_style(one.status)), (one.name, "bold"), f" is {one.status}")
    rows = [[*_status_row(one, variant)[2:6], _short_image(variant)] for variant in one.variants]
    table = columns(("variant", "instances", "weight", "model", "image"), rows)
    parts = facts(
        [
            ("why", Text(one.failure_reason, "red")),
            ("config", one.config_name),
            ("made", f"{one.created} by {one.by.rpartition(':')[2] or 'others'}"),
            ("changed", one.changed if one.changed != one.created else ""),
            ("expires", one.expires or ("never: production" if one.production else "never")),
            ("tags", ", ".join(f"{key}={value}" for key, value in one.tags.items() if not key.startswith("penstock:"))),
        ]
    )
    indented = Text("\n").join(Text.assemble("  ", line) for line in table.split("\n"))
    return Group(head, parts, Text(""), indented)


def _short_image(variant: VariantStatus) -> str:
    return variant.image.rpartition("@")[2][:19]


def _status_row(one: EndpointStatus, variant: VariantStatus) -> list[str]:
    state = f"{one.status}: {one.failure_reason}" if one.failure_reason else one.status
    running = f"{variant.instances}/{variant.wanted_instances} {variant.instance_type}"
    model = f"{variant.model_uri} {variant.model_version}".strip()
    expires = one.expires or "never"
    return [one.name, state, variant.name, running, f"{variant.weight:g}", model, expires, _short_image(variant)]


def _log_line(line: LogLine) -> str:
    when = datetime.fromtimestamp(line.timestamp_ms / 1000, tz=UTC).strftime("%H:%M:%S")
    return f"{when} {line.stream} {line.text}"


def _metrics_table(found: EndpointMetrics) -> Text:
    header = ("variant", "calls", "4xx", "5xx", "model ms mean", "model ms max", "overhead ms mean", "memory % max")
    rows = []
    for one in found.variants:
        latencies = (one.model_latency_avg_ms, one.model_latency_max_ms, one.overhead_avg_ms)
        figures = (*latencies, one.memory_max_percent)
        shown = ["-" if figure is None else f"{figure:.2f}" for figure in figures]
        rows.append([one.variant, str(one.invocations), str(one.errors_4xx), str(one.errors_5xx), *shown])
    return columns(header, rows, styles={"4xx": _bad, "5xx": _bad})


def _bad(cell: str) -> str:
    return "" if cell == "0" else "red"


def _cost_table(found: CostReport) -> Group:
    header = ("name", "instances", "$ an hour", "$ a month", "$ so far", "expires", "made by us")
    rows = [_cost_row(one) for one in found.endpoints]
    rows.append(["total", "", f"{found.per_hour:.3f}", f"{found.per_month:.0f}", "", "", ""])
    styles: dict[str, Style] = {"name": lambda cell: "bold" if cell == "total" else "", "$ a month": lambda _: "bold"}
    origins = [Text(f"prices: {origin}", "dim") for origin in found.origins]
    return Group(columns(header, rows, styles=styles), *origins)


def _cost_row(one: EndpointCost) -> list[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in one.instances.items()) or "serverless"
    price = f"{one.per_hour:.3f}" if one.priced else "not known"
    ours = "yes" if one.ours else "no"
    return [one.name, kinds, price, f"{one.per_month:.0f}", f"{one.so_far:.2f}", one.expires or "never", ours]


def _history_table(found: tuple[Served, ...]) -> Text:
    rows = []
    for one in found:
        images = ", ".join(image.rpartition("@")[2][:19] for image in one.images.values())
        models = {name: uri for name, uri in one.models.items() if uri != one.model_uri}
        others = "".join(f", {name}: {uri}" for name, uri in models.items())
        model = f"{one.model_uri} {one.model_version}".strip() + others
        rows.append([one.at, one.event, model, one.config_name, images or one.error[:60], one.by.rpartition("/")[2]])
    styles: dict[str, Style] = {"event": lambda cell: {"served": "green", "failed": "red"}.get(cell, "yellow")}
    return columns(("at", "event", "model", "config", "image or why", "by"), rows, styles=styles)
