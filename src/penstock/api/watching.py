"""Who watches long work that a notebook's call does: a terminal sees a line of progress, a log sees nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.ground.progress import SILENT, Phase, Progress

_QUIET_SECONDS = 2.0
_REDRAW_SECONDS = 0.2


class _Line:
    """One rewritten line on stderr, from the third second of a phase on."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._next = time.monotonic() + _QUIET_SECONDS
        self._shown = False

    def detail(self, text: str) -> None: ...

    def advance(self, done_bytes: int, total_bytes: int | None = None) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REDRAW_SECONDS
        self._shown = True
        of_total = f" of {total_bytes / 1e6:,.0f}" if total_bytes else ""
        sys.stderr.write(f"\r{self._title}: {done_bytes / 1e6:,.0f}{of_total} MB ")
        sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\n")


class _Terminal:
    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        line = _Line(title)
        try:
            yield line
        finally:
            line.end()


def watcher() -> Progress:
    """Progress for whoever is looking: a terminal's line, or nothing."""
    return _Terminal() if sys.stderr.isatty() else SILENT
