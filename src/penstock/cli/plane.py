"""``penstock plane``: the embedded AWS, up, down, looked at, emptied, and the environment that leads to it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import click
from rich.table import Table

from penstock.api import plane as api
from penstock.api.plane import DEFAULT, PlaneView
from penstock.cli.command import command
from penstock.cli.terminal import Terminal
from penstock.ground.settings import RUNNERS

_NAME = click.option("--name", default=DEFAULT, show_default=True, help="Which plane; several may be up at once.")


@command("up")
@_NAME
@click.option("--port", type=int, default=0, help="By default the port it had last time, or a free one.")
@click.option("--time-scale", type=float, help="What waits are multiplied by; 1.0 is AWS's own time.")
@click.option("--runner", type=click.Choice(RUNNERS), help="How containers are isolated.")
@click.option("--region", help="The region of requests that name none.")
@click.option("--check-signatures", is_flag=True, help="Refuse requests that no key of the account signed.")
@click.option("--foreground", is_flag=True, help="Stay in the foreground until Ctrl+C.")
def up(terminal: Terminal, name: str, foreground: bool, **options: Any) -> None:
    """Start a plane, in the background unless told otherwise."""
    start: Callable[..., PlaneView | None] = api.run if foreground else api.up
    view = start(name, **options)
    if view is not None:
        if view.warning:
            terminal.note(f"[yellow]warning[/] {view.warning}")
        terminal.emit(view, text=_brought_up)


@command("down")
@_NAME
def down(terminal: Terminal, name: str) -> None:
    """Stop a plane and everything it runs; its state stays."""
    stopped = api.down(name)
    text = f"The plane {name} is down." if stopped else f"The plane {name} was not up."
    terminal.emit({"name": name, "stopped": stopped}, text=lambda _: text)


@command("status")
@click.option("--name", help="One plane only.")
def status(terminal: Terminal, name: str | None) -> None:
    """List the planes of this state directory."""
    terminal.emit(api.status(name), text=_table)


@command("logs")
@_NAME
@click.option("-n", "--lines", default=50, show_default=True, help="How many of the last lines.")
def logs(terminal: Terminal, name: str, lines: int) -> None:
    """Show the last lines of a plane's own log."""
    terminal.emit(api.logs(name, lines=lines), text="\n".join)


@command("reset")
@_NAME
def reset(terminal: Terminal, name: str) -> None:
    """Take a plane down and forget everything in it."""
    existed = api.reset(name)
    text = f"The plane {name} is empty." if existed else f"There is no plane {name}."
    terminal.emit({"name": name, "reset": existed}, text=lambda _: text)


@command("env")
@_NAME
def env(terminal: Terminal, name: str) -> None:
    """Print the environment that leads to a plane; use it as: eval "$(penstock plane env)"."""
    terminal.emit(api.env(name), text=_exports)


plane = click.Group("plane", commands=[up, down, status, logs, reset, env], help="Run an embedded AWS on this machine.")


def _brought_up(view: PlaneView) -> str:
    return f'The plane {view.name} answers at {view.url}.\nSend your AWS tools there: eval "$(penstock plane env)"'


def _exports(environment: dict[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())


def _table(views: list[PlaneView]) -> Table:
    table = Table("plane", "state", "url", "process", "region", "state directory", box=None, header_style="bold")
    for view in views:
        state = "[green]up[/]" if view.running else "down"
        table.add_row(view.name, state, view.url or "", str(view.pid or ""), view.region or "", view.state_dir)
    return table
