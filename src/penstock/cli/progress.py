"""Two watchers of long work: an animated one for a terminal, and one plain line per phase for everything else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from penstock.ground.progress import Phase

_MEGABYTE = 1_000_000
_BAR_CELLS = 24


def seconds(elapsed: float) -> str:
    """An elapsed time for a person: '0.4 s', '12 s', '2 min 05 s'."""
    if elapsed < 9.95:
        return f"{elapsed:.1f} s"
    if elapsed < 60:
        return f"{elapsed:.0f} s"
    return f"{int(elapsed) // 60} min {int(elapsed) % 60:02d} s"


def _line(mark: str, watched: _Watched, depth: int) -> Text:
    """The line of a phase that ended: mark, elapsed time, title, detail."""
    line = Text.from_markup(mark)
    line.append(f" {seconds(watched.elapsed):>6}  ", style="cyan")
    line.append("  " * depth + watched.title)
    if shown := watched.shown():
        line.append(f"  {shown}", style="dim")
    return line


class _Watched:
    """A phase that remembers what it was told last."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.text = ""
        self.amount = ""
        self.bar: ProgressBar | None = None
        self.started = time.monotonic()
        self.spinner = Spinner("dots", style="cyan")

    def detail(self, text: str) -> None:
        self.text = text
        self.amount = ""
        self.bar = None

    def advance(self, done_bytes: int, total_bytes: int | None = None) -> None:
        done = done_bytes / _MEGABYTE
        rate = done / max(time.monotonic() - self.started, 1e-3)
        of = f" of {total_bytes / _MEGABYTE:.1f}" if total_bytes is not None else ""
        self.amount = f"{done:.1f}{of} MB, {rate:.1f} MB/s"
        if total_bytes:
            self.bar = self.bar or ProgressBar(width=_BAR_CELLS)
            self.bar.update(done_bytes, total_bytes)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def shown(self) -> str:
        return "  ".join(part for part in (self.text, self.amount) if part)

    def __rich__(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        elapsed = Text(f"{seconds(self.elapsed):>6}", "cyan")
        shown = Text(self.shown(), "dim", overflow="ellipsis")
        grid.add_row(self.spinner, elapsed, Text(f" {self.title}"), *([self.bar] if self.bar else []), shown)
        return grid


class PlainProgress:
    """A watcher that prints a line when a phase ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.depth = 0

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        watched = _Watched(title)
        self.depth += 1
        mark = "[red]✗[/]"
        try:
            yield watched
            mark = "[green]✓[/]"
        finally:
            self.depth -= 1
            self._print(_line(mark, watched, self.depth))

    def _print(self, line: Text) -> None:
        """A line that is cut to fit on a terminal, and whole everywhere else."""
        fits = self.console.is_terminal
        self.console.print(line, no_wrap=True, overflow="ellipsis" if fits else "ignore", crop=fits, soft_wrap=not fits)


class TerminalProgress(PlainProgress):
    """A watcher that animates the innermost phase and leaves a line for each one that ended."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.open: list[_Watched] = []
        self.live: Live | None = None

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        with super().phase(title) as inner:
            assert isinstance(inner, _Watched)
            self.open.append(inner)
            self._refresh()
            try:
                yield inner
            finally:
                self.open.pop()
                self._refresh()

    def _refresh(self) -> None:
        if not self.open:
            if self.live is not None:
                self.live.stop()
            self.live = None
            return
        if self.live is None:
            self.live = Live(console=self.console, transient=True, refresh_per_second=10)
            self.live.start()
        self.live.update(self.open[-1])
