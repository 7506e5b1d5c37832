"""How long work tells whoever is watching where it is; the terminal and the tests are two watchers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Phase(Protocol):
    """One named piece of work under way."""

    def detail(self, text: str) -> None:
        """Show ``text`` as what is being done right now."""

    def advance(self, done_bytes: int, total_bytes: int | None = None) -> None:
        """Show that ``done_bytes`` of ``total_bytes`` (None: not known) are done so far."""


class Progress(Protocol):
    """A watcher of phases; phases may follow one another and may nest."""

    def phase(self, title: str) -> AbstractContextManager[Phase]: ...


class _Quiet:
    def detail(self, text: str) -> None: ...

    def advance(self, done_bytes: int, total_bytes: int | None = None) -> None: ...


class SilentProgress:
    """A watcher that says nothing."""

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        yield _Quiet()


SILENT: Progress = SilentProgress()


class FoldedProgress:
    """A watcher that shows phases as the details of one outer phase, for work that is a part of something larger."""

    def __init__(self, outer: Phase) -> None:
        self._outer = outer

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        self._outer.detail(title)
        yield _Folded(self._outer, title)


class _Folded:
    def __init__(self, outer: Phase, title: str) -> None:
        self._outer = outer
        self._title = title

    def detail(self, text: str) -> None:
        self._outer.detail(f"{self._title}: {text}")

    def advance(self, done_bytes: int, total_bytes: int | None = None) -> None:
        self._outer.advance(done_bytes, total_bytes)
