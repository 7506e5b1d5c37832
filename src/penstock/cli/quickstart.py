"""``penstock quickstart``: the whole story in the terminal."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from penstock.api.quickstart.report import QuickstartReport
from penstock.api.quickstart.tell import clean
from penstock.api.quickstart.tell import quickstart as tell
from penstock.cli.command import command
from penstock.cli.progress import seconds
from penstock.cli.terminal import Terminal


@command("quickstart")
@click.option("--keep", is_flag=True, help="Leave the endpoint up, and print calls to paste.")
@click.option("--clean", "clean_only", is_flag=True, help="Remove what a kept quickstart left, and stop.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The plane's port; 0 takes a free one.")
def quickstart(terminal: Terminal, keep: bool, clean_only: bool, port: int) -> None:
    """Run the whole story on real data and an embedded AWS: train, track, pack, build, push, deploy, invoke, delete."""
    if clean_only:
        terminal.emit({"removed": clean(progress=terminal.progress)}, text=_cleaned)
        return
    report = tell(keep=keep, port=port, progress=terminal.progress, say=terminal.say)
    terminal.emit(report, text=_ending)


def _cleaned(result: dict[str, bool]) -> str:
    return "Removed." if result["removed"] else "There was nothing to remove."


def _ending(report: QuickstartReport) -> Any:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_row("run", f"{report.run.experiment} / {report.run.run_id}")
    facts.add_row("model", f"{report.run.registered_as}, {report.run.model_uri}")
    facts.add_row(
        "image", f"{report.image.digest[:19]}  {report.image.layers} layers, {report.image.size_bytes / 1e6:.0f} MB"
    )
    facts.add_row("ran as", report.endpoint.runner)
    facts.add_row("calls", f"{report.endpoint.invocations}, model latency {report.endpoint.latency_ms or 0:.1f} ms")
    if report.commands:
        return Group(Panel(facts, title="still up", expand=False, border_style="yellow"), *_pastes(report))
    left = ", ".join(f"{check.left} {check.what}" for check in report.checks)
    facts.add_row("left", f"[green]nothing[/] ({escape(left)})")
    return Panel(facts, title=f"done in {seconds(report.seconds)}", expand=False, border_style="green")


def _pastes(report: QuickstartReport) -> list[Any]:
    titles = {
        "environment": "Point this shell's AWS clients at the plane",
        "aws": "Invoke it with the aws CLI",
        "boto3": "with boto3",
        "curl": "with curl",
        "end": "Remove it all",
    }
    shown: list[Any] = []
    for key, title in titles.items():
        language = "python" if key == "boto3" else "bash"
        shown += [
            Text(f"\n# {title}", style="bold cyan"),
            Syntax(report.commands[key], language, background_color="default"),
        ]
    return shown
