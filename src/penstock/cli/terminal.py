"""Where a command prints: results on stdout, everything else on stderr, JSON as exactly one document."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import msgspec
from rich.console import Console

from penstock.cli.progress import PlainProgress, TerminalProgress
from penstock.ground.errors import PenstockError
from penstock.ground.progress import SILENT, Progress


class Terminal:
    """A pair of consoles and the form in which results are wanted: 'text' or 'json'."""

    def __init__(self, *, output: str = "text", quiet: bool = False) -> None:
        self.output = output
        self.quiet = quiet
        self.results = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.notes = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.progress = self._progress()

    def _progress(self) -> Progress:
        if self.quiet:
            return SILENT
        animated = self.notes.is_terminal and not os.environ.get("CI")
        return TerminalProgress(self.notes) if animated else PlainProgress(self.notes)

    def emit(self, value: Any, *, text: Callable[[Any], Any] | None = None) -> None:
        """Prints the command's result: one JSON document, or what ``text`` makes of it (a str or a rich renderable)."""
        if self.output == "json":
            sys.stdout.write(_json(value) + "\n")
        else:
            self.results.print(text(value) if text else value)

    def say(self, line: str) -> None:
        """Prints a line of the story on stdout, unless the result is to be one JSON document."""
        if self.output != "json":
            self.results.print(line, style="bold", markup=False)

    def note(self, message: Any) -> None:
        """Prints ``message`` on stderr."""
        self.notes.print(message)

    def fail(self, error: PenstockError) -> None:
        """Prints an error: its cause, its fix and its code."""
        if self.output == "json":
            self.emit({"error": {"code": error.code, "message": error.message, "fix": error.fix}})
            return
        self.notes.print("[bold red]Error[/]", end=" ")
        self.notes.print(error.message, markup=False)
        if error.fix:
            self.notes.print("[bold]Fix[/]  ", end=" ")
            self.notes.print(error.fix, markup=False)
        self.notes.print(f"[dim]{error.code}; 'penstock explain {error.code}' tells more.[/]")


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no JSON form")
