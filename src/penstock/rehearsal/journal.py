"""The plane's memory: every hosting definition as one JSON row of one SQLite file, read back at the next start.

``sqlite3 hosting.db 'select kind, name, body from records'`` shows all of it. A write has reached the file before the
operation is answered, so nothing acknowledged is lost when the plane is killed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from penstock.ground.errors import StorageFailed
from penstock.ground.files import ensure_directory

_SCHEMA = """
create table if not exists records (
    kind text not null, region text not null, name text not null, body text not null,
    primary key (kind, region, name)
) without rowid;
"""

Record = TypeVar("Record", bound="Recorded")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What every kept resource has. Names are unique per kind and region."""

    name: str
    region: str
    arn: str
    created_ms: int
    tags: dict[str, str] = {}


class Journal:
    """Keeps records by (kind, region, name). ``transaction`` serialises read-then-write between threads."""

    def __init__(self, path: Path) -> None:
        ensure_directory(path.parent)
        self._lock = threading.RLock()
        self._depth = 0
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen together or not at all, and nobody else writes meanwhile. May nest."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._execute("begin immediate")
                yield
            except BaseException:
                if self._depth == 1 and self._database.in_transaction:
                    self._database.execute("rollback")
                raise
            else:
                if self._depth == 1:
                    self._execute("commit")
            finally:
                self._depth -= 1

    def find(self, kind: str, region: str, name: str, type: type[Record]) -> Record | None:
        with self._lock:
            row = self._execute(
                "select body from records where kind = ? and region = ? and name = ?", kind, region, name
            ).fetchone()
        return msgspec.json.decode(row[0], type=type) if row else None

    def all(self, kind: str, type: type[Record], *, region: str | None = None) -> list[Record]:
        """Every record of a kind, in one region or in all, by name."""
        with self._lock:
            rows = self._execute(
                "select body from records where kind = ?1 and (?2 is null or region = ?2) order by region, name",
                kind, region,
            ).fetchall()  # fmt: skip
        return [msgspec.json.decode(body, type=type) for (body,) in rows]

    def put(self, kind: str, record: Recorded) -> None:
        """Writes the record, new or changed."""
        body = msgspec.json.encode(record).decode()
        with self.transaction():
            self._execute("insert or replace into records values (?, ?, ?, ?)", kind, record.region, record.name, body)

    def add(self, kind: str, record: Recorded) -> bool:
        """Writes the record if its name is free; says whether it was."""
        body = msgspec.json.encode(record).decode()
        with self.transaction():
            done = self._execute(
                "insert or ignore into records values (?, ?, ?, ?)", kind, record.region, record.name, body
            )
            return done.rowcount == 1

    def remove(self, kind: str, region: str, name: str) -> bool:
        """Removes the record; says whether it was there."""
        with self.transaction():
            done = self._execute("delete from records where kind = ? and region = ? and name = ?", kind, region, name)
            return done.rowcount == 1

    def _execute(self, statement: str, *values: str | None) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise StorageFailed(f"The plane cannot keep its records: {error}.", fix="Free some disk space.") from error
