"""What every command shares: ``--output``, ``--debug``, ``--quiet``, exit codes, and errors that say the fix.

A command is a function whose first argument is a Terminal::

    @command("status")
    @click.argument("name")
    def status(terminal: Terminal, name: str) -> None:
        terminal.emit(deployments.status(name), text=render_status)
"""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from penstock.cli.terminal import Terminal
from penstock.ground.errors import PenstockError

INTERRUPTED = 130


def command(name: str, **settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """A decorator that makes a click command called ``name`` of a function that takes a Terminal first."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(output: str, quiet: bool, debug: bool, **arguments: Any) -> None:
            terminal = Terminal(output=output, quiet=quiet)
            code = _guarded(terminal, debug, functools.partial(function, terminal, **arguments))
            if code:
                sys.exit(code)

        options = (
            click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result."),
            click.option("--json", "output", flag_value="json", help="The same as --output json."),
            click.option("-q", "--quiet", is_flag=True, help="Show no progress."),
            click.option("--debug", is_flag=True, envvar="PENSTOCK_DEBUG", help="Show the traceback of an error."),
        )
        wrapped: Callable[..., Any] = run
        for option in options:
            wrapped = option(wrapped)
        made: click.Command = click.command(name, cls=click.Command, **settings)(wrapped)
        return made

    return decorate


def _guarded(terminal: Terminal, debug: bool, call: Callable[[], None]) -> int:
    """Runs ``call`` and gives the exit code; the one translator from errors to exit codes."""
    previous = signal.signal(signal.SIGTERM, _terminated)
    try:
        call()
    except PenstockError as error:
        if debug:
            raise
        terminal.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        terminal.note("Interrupted.")
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _terminated(_number: int, _frame: object) -> None:
    """A SIGTERM is an interruption too, so that clean-up runs."""
    raise KeyboardInterrupt
