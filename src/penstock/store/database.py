"""What the store asks of a database: sessions, transactions that nest, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from penstock.ground.errors import Unavailable
from penstock.store.dialect import Dialect

T = TypeVar("T")
Row = tuple[Any, ...]
NOTHING: Mapping[str, Any] = {}


class Busy(Unavailable):
    """Another writer is at work; nothing was begun."""


class Uncertain(Unavailable):
    """The connection was lost in the middle of a commit: the change may be stored or not, so nobody repeats it."""


class Session(Protocol):
    """One connection inside one transaction. SQL is written as ``store/dialect.py`` says."""

    @property
    def dialect(self) -> Dialect: ...

    def rows(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> list[Row]:
        """Every row of a query."""

    def row(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> Row | None:
        """The first row of a query, or None."""

    def run(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> int:
        """How many rows the statement touched."""

    def many(self, sql: str, rows: Sequence[Row]) -> int:
        """How many rows a bulk statement (with a ``{rows:...}`` macro) touched. No rows is fine."""

    def script(self, sql: str) -> None:
        """Runs several statements without parameters, as migrations do."""


class Database(Protocol):
    """Where sessions come from; safe to use from many threads and many processes."""

    @property
    def dialect(self) -> Dialect: ...

    def read(self, work: Callable[[Session], T]) -> T:
        """What ``work`` gives back, reading one snapshot. May be run again after a lost connection."""

    def write(self, work: Callable[[Session], T]) -> T:
        """What ``work`` gives back, after its changes are on disk; when it raises, none of them are.

        Inside another write of the same thread it is a part of that write, undone alone when it raises. ``work`` may
        be run again when another process was in the way, so its only effects are those on the session.
        """

    def write_now(self, work: Callable[[Session], T]) -> T:
        """Like ``write``, but never waits for another writer. Raises Busy instead."""

    def write_once(self, work: Callable[[Session], T]) -> T:
        """What ``work`` gives back, whose one statement is a transaction of its own; to be repeated without harm."""

    def migrate(self, work: Callable[[Session], T]) -> T:
        """Like ``write``, while no other process migrates."""

    def close(self) -> None:
        """Closes every connection."""


def single(rows: Iterable[Row]) -> list[Any]:
    """The first column of ``rows``."""
    return [row[0] for row in rows]
