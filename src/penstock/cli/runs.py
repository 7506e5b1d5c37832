"""``penstock runs``: runs in a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click
from rich.table import Table

from penstock.api.listing import ShownRun, list_runs
from penstock.cli.command import command
from penstock.cli.terminal import Terminal


@command("runs")
@click.option("-e", "--experiment", "experiments", multiple=True, help="An experiment's name; by default all of them.")
@click.option("-f", "--filter", "filter_string", default="", help='Such as "metrics.accuracy > 0.9".')
@click.option("-o", "--order-by", multiple=True, help='Such as "metrics.accuracy DESC".')
@click.option("-n", "--limit", default=20, show_default=True, help="The most runs to show.")
@click.option("--deleted", is_flag=True, help="Show deleted runs instead.")
def runs_command(
    terminal: Terminal,
    *,
    experiments: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    limit: int,
    deleted: bool,
) -> None:
    """Show runs, the latest first, with their metrics and params."""
    found = list_runs(
        experiment_names=experiments,
        filter_string=filter_string,
        order_by=order_by,
        limit=limit,
        deleted=deleted,
    )
    terminal.emit(found, text=_table)


def _table(runs: list[ShownRun]) -> Table | str:
    if not runs:
        return "No runs."
    table = Table(box=None, header_style="bold")
    for heading in ("run", "name", "status", "started"):
        table.add_column(heading, no_wrap=heading != "name")
    table.add_column("metrics and params", overflow="fold")
    for run in runs:
        table.add_row(run.run_id, run.name, run.status, _started(run), " ".join([*_metrics(run), *_params(run)]))
    return table


def _started(run: ShownRun) -> str:
    return "" if run.start_time is None else f"{datetime.fromtimestamp(run.start_time / 1000, UTC):%m-%d %H:%M}"


def _metrics(run: ShownRun) -> Iterator[str]:
    for key, value in run.metrics.items():
        yield f"{key}={value if isinstance(value, str) else f'{value:.4g}'}"


def _params(run: ShownRun) -> Iterator[str]:
    return (f"{key}={value}" for key, value in run.params.items())
