"""SQLite: one file in WAL mode, shared by threads and processes, every commit on disk before it is answered."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from penstock.ground.errors import Conflict, InvalidInput, PenstockError, StorageFailed, Unavailable
from penstock.ground.files import ensure_directory, locked
from penstock.store.database import NOTHING, Row
from penstock.store.dialect import SQLITE, Dialect

T = TypeVar("T")
BUSY_TIMEOUT_S = 30.0
# FULL syncs the write-ahead log at every commit, so an acknowledged write survives a power cut.
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA case_sensitive_like = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
    "PRAGMA wal_autocheckpoint = 4000",
)


class SqliteSession:
    """A connection as a session: lists become JSON text, which the ``{in ...}`` macro reads."""

    dialect: Dialect = SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> list[Row]:
        return self._execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> Row | None:
        found: Row | None = self._execute(sql, parameters).fetchone()
        return found

    def run(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> int:
        return self._execute(sql, parameters).rowcount

    def many(self, sql: str, rows: Sequence[Row]) -> int:
        return self.connection.executemany(SQLITE.compile(sql), rows).rowcount if rows else 0

    def script(self, sql: str) -> None:
        for statement in split_statements(SQLITE.compile(sql)):
            self.connection.execute(statement)

    def _execute(self, sql: str, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        bound = {name: _bound(value) for name, value in parameters.items()}
        return self.connection.execute(SQLITE.compile(sql), bound)


def _bound(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, tuple)) else value


def split_statements(script: str) -> Iterator[str]:
    """The statements of a migration; no statement in one holds a semicolon of its own."""
    for statement in script.split(";"):
        if statement.strip():
            yield statement


class SqliteDatabase:
    """A database file and its idle connections. ``path`` is made, with its folder, when it is not there."""

    dialect: Dialect = SQLITE

    def __init__(self, path: Path) -> None:
        self.path = path
        ensure_directory(path.parent)
        self._idle: list[SqliteSession] = []
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._current = threading.local()

    def read(self, work: Callable[[SqliteSession], T]) -> T:
        current: SqliteSession | None = getattr(self._current, "session", None)
        if current is not None:
            return work(current)
        with self._connection() as session, self._transaction(session, "BEGIN"):
            return work(session)

    def write(self, work: Callable[[SqliteSession], T]) -> T:
        current: SqliteSession | None = getattr(self._current, "session", None)
        if current is not None:
            with self._savepoint(current):
                return work(current)
        # The queue between processes is a file lock: SQLite's own busy handler polls, up to 100 ms apart.
        with self._writing, locked(self._lock_path), self._connection() as session:
            self._current.session = session
            try:
                with self._transaction(session, "BEGIN IMMEDIATE"):
                    return work(session)
            finally:
                self._current.session = None

    def migrate(self, work: Callable[[SqliteSession], T]) -> T:
        with self._connection() as session, sqlite_errors(self.path):
            session.connection.execute("PRAGMA journal_mode = WAL")
        return self.write(work)

    def close(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        for session in idle:
            session.connection.close()

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    @contextmanager
    def _connection(self) -> Iterator[SqliteSession]:
        with self._guard:
            session = self._idle.pop() if self._idle else None
        session = session or self._connect()
        try:
            yield session
        except BaseException:
            if session.connection.in_transaction:
                session.connection.rollback()
            raise
        finally:
            with self._guard:
                self._idle.append(session)

    def _connect(self) -> SqliteSession:
        with sqlite_errors(self.path):
            connection = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        return SqliteSession(connection)

    @contextmanager
    def _transaction(self, session: SqliteSession, begin: str) -> Iterator[None]:
        with sqlite_errors(self.path):
            session.connection.execute(begin)
            yield
            session.connection.execute("COMMIT")

    @contextmanager
    def _savepoint(self, session: SqliteSession) -> Iterator[None]:
        session.connection.execute("SAVEPOINT part")
        try:
            with sqlite_errors(self.path):
                yield
        except BaseException:
            session.connection.execute("ROLLBACK TO part")
            session.connection.execute("RELEASE part")
            raise
        session.connection.execute("RELEASE part")


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turns the driver's errors into Penstock's."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except OverflowError as error:
        raise InvalidInput("A number is outside the range of 64 bits.", fix="Use a smaller number.") from error
    except UnicodeEncodeError as error:
        raise InvalidInput("A text is not valid Unicode.", fix="Remove its lone surrogates.") from error


def _translated(path: Path, error: sqlite3.Error) -> PenstockError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(f"The database {path} is locked by another program.", fix="Close that program or try again.")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StorageFailed(f"Cannot write the database {path}: {error}.", fix="Free some disk space, then try again.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageFailed(
            f"Cannot write the database {path}: {error}.", fix="Make the file and its folder writable."
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StorageFailed(f"{path} is not a usable SQLite database: {error}.", fix="Give another file or a backup.")
    if name.startswith("SQLITE_CONSTRAINT"):
        return Conflict(f"The change collides with another one: {error}.", fix="Read again, then retry.")
    return StorageFailed(f"The database {path} failed: {error}.", fix="Check the file with 'PRAGMA integrity_check'.")
