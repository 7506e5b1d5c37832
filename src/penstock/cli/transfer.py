"""``penstock import``, ``export``, ``sync`` and ``gc``: what moves in, out, on and away."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Group
from rich.table import Table

from penstock.api.collecting import GcReport, gc
from penstock.api.moving.counts import MoveReport
from penstock.api.sync import SyncReport, sync
from penstock.api.transfer import export_to, import_from
from penstock.cli.command import command
from penstock.cli.terminal import Terminal

INCOMPLETE = 1
_SHOWN = 20


@command("import")
@click.argument("source")
@click.option("--into", help="The database to import into; by default the tracking store in force.")
@click.option("--artifact-root", help="Where imported artifacts are kept; by default in the state directory.")
@click.option("--artifacts-destination", help="As the server of that database has it: artifacts go behind its proxy.")
@click.option("--source-artifacts", help="Where the server of a source database keeps proxied artifacts.")
def import_command(
    terminal: Terminal,
    *,
    source: str,
    into: str | None,
    artifact_root: str | None,
    artifacts_destination: str | None,
    source_artifacts: str | None,
) -> None:
    """Import SOURCE: an mlruns folder, an MLflow database (sqlite:///..., postgresql://...) or a server (http://...).

    Ids, times, lifecycle, versions, aliases and artifacts are kept. Interrupted, run it again.
    """
    report = import_from(
        source,
        into=into,
        artifact_root=artifact_root,
        artifacts_destination=artifacts_destination,
        source_artifacts=source_artifacts,
        progress=terminal.progress,
    )
    _finish(terminal, report)


@command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--source", help="The store or server to export; by default the one in force.")
@click.option("--artifacts-destination", help="Where the server of that store keeps proxied artifacts.")
def export_command(terminal: Terminal, *, folder: Path, source: str | None, artifacts_destination: str | None) -> None:
    """Export to FOLDER as an mlruns folder, which stock MLflow opens (3.x with MLFLOW_ALLOW_FILE_STORE=true)."""
    report = export_to(folder, source=source, artifacts_destination=artifacts_destination, progress=terminal.progress)
    _finish(terminal, report)


def _finish(terminal: Terminal, report: MoveReport) -> None:
    terminal.emit(report, text=_compared)
    if not report.agrees:
        sys.exit(INCOMPLETE)


def _compared(report: MoveReport) -> Group:
    table = Table("", "there", "here", "", box=None, header_style="bold")
    for line in report.lines:
        mark = "[green]same[/]" if line.there == line.here else "[red]differs[/]"
        table.add_row(line.what, f"{line.there:,}", f"{line.here:,}", mark)
    remarks = [f"{uri} stays where it is." for uri in report.left_in_place[:_SHOWN]]
    if len(report.left_in_place) > _SHOWN:
        remarks.append(f"{len(report.left_in_place) - _SHOWN} more stay where they are.")
    if report.unchanged_runs:
        remarks.append(f"{report.unchanged_runs:,} runs were here already.")
    return Group(f"{report.origin} -> {report.destination}", table, *remarks)


@command("sync")
def sync_command(terminal: Terminal) -> None:
    """Send what was logged while a server was away, in order and each thing once."""
    report = sync(progress=terminal.progress)
    terminal.emit(report, text=_sent)
    if report.waiting:
        sys.exit(INCOMPLETE)


def _sent(report: SyncReport) -> str:
    lines = [f"Sent {report.sent:,} batches; {report.waiting:,} wait for their server."]
    return "\n".join([*lines, *(f"Refused: {reason}" for reason in report.refused)])


@command("gc")
@click.option("--apply", is_flag=True, help="Remove for good; without it only look.")
@click.option("--older-than-days", type=float, default=0.0, show_default=True, help="Leave later deletions alone.")
@click.option("--tracking-uri", help="The database; by default the tracking store in force.")
@click.option("--artifacts-destination", help="Where the server of that database keeps proxied artifacts.")
def gc_command(
    terminal: Terminal,
    *,
    apply: bool,
    older_than_days: float,
    tracking_uri: str | None,
    artifacts_destination: str | None,
) -> None:
    """Remove deleted runs, logged models and experiments for good, after a look at their rows and bytes."""
    report = gc(
        apply=apply,
        older_than_days=older_than_days,
        tracking_uri=tracking_uri,
        artifacts_destination=artifacts_destination,
        progress=terminal.progress,
    )
    terminal.emit(report, text=_collected)
    if report.problems:
        sys.exit(INCOMPLETE)


def _collected(report: GcReport) -> Group:
    table = Table("what", "id", "rows", "files", "bytes", "", box=None, header_style="bold")
    for thing in report.things[:_SHOWN]:
        kept = f"kept for {thing.kept_for}" if thing.kept_for else ""
        table.add_row(thing.kind, thing.identity, f"{thing.rows:,}", f"{thing.files:,}", f"{thing.size_bytes:,}", kept)
    more = [f"... and {len(report.things) - _SHOWN:,} more."] if len(report.things) > _SHOWN else []
    verb = "Removed" if report.is_done else "This would remove"
    summary = f"{verb} {report.rows:,} rows and {report.files:,} files of {report.size_bytes:,} bytes."
    hint = [] if report.is_done or not report.rows else ["Do it: penstock gc --apply"]
    return Group(table, *more, summary, *hint, *report.problems)
