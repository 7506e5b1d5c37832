"""SQLite: one file in WAL mode, shared by threads and processes, every commit on disk before it is answered."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from penstock.ground.errors import Conflict, InvalidInput, PenstockError, StorageFailed, Unavailable
from penstock.ground.files import ensure_directory, storage_errors
from penstock.store.database import NOTHING, Busy, Row
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
    return msgspec.json.encode(value).decode() if isinstance(value, (list, tuple)) else value


def split_statements(script: str) -> Iterator[str]:
    """The statements of a migration; no statement in one holds a semicolon of its own."""
    for statement in script.split(";"):
        if statement.strip():
            yield statement


class SqliteDatabase:
    """A database file and its idle connections. ``path`` is made, with its folder, when it is not there.

    A lock that another program holds is waited for up to ``busy_timeout_s``.
    """

    dialect: Dialect = SQLITE

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        ensure_directory(path.parent)
        self._busy_timeout_s = busy_timeout_s
        self._file: tuple[int, int] | None = None  # device and number of the file that was written first
        self._idle: list[SqliteSession] = []
        self._hasty: SqliteSession | None = None  # the connection of write_now, which waits for no lock
        self._guard = threading.Lock()
        self._writing = _Queue(path.with_name(f"{path.name}.lock"))
        self._current = threading.local()
        self._errors = sqlite_errors(path)

    def read(self, work: Callable[[SqliteSession], T]) -> T:
        current: SqliteSession | None = getattr(self._current, "session", None)
        if current is not None:
            return work(current)
        session = self._take()
        try:
            return self._transaction(session, "BEGIN", work)
        finally:
            self._give_back(session)

    def write(self, work: Callable[[SqliteSession], T]) -> T:
        current: SqliteSession | None = getattr(self._current, "session", None)
        if current is not None:
            return self._part(current, work)
        session = self._take()
        self._current.session = session
        try:
            with self._writing:
                self._check_file()
                return self._transaction(session, "BEGIN IMMEDIATE", work)
        finally:
            self._current.session = None
            self._give_back(session)

    def write_now(self, work: Callable[[SqliteSession], T]) -> T:
        if not self._writing.enter_now():
            raise Busy(f"Another program writes to {self.path}.", fix="Try again.")
        try:
            self._check_file()
            session = self._hasty = self._hasty or self._connect(timeout_s=0.0)
            self._current.session = session
            return self._transaction(session, "BEGIN IMMEDIATE", work)
        finally:
            self._current.session = None
            self._writing.__exit__()

    def write_once(self, work: Callable[[SqliteSession], T]) -> T:
        return self.write(work)

    def migrate(self, work: Callable[[SqliteSession], T]) -> T:
        session = self._take()
        try:
            with self._errors:
                session.connection.execute("PRAGMA journal_mode = WAL")
        finally:
            self._give_back(session)
        return self.write(work)

    def close(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        hasty, self._hasty = self._hasty, None
        for session in [*idle, hasty] if hasty else idle:
            session.connection.close()
        self._writing.close()

    def _take(self) -> SqliteSession:
        with self._guard:
            if self._idle:
                return self._idle.pop()
        return self._connect(timeout_s=self._busy_timeout_s)

    def _connect(self, *, timeout_s: float) -> SqliteSession:
        with self._errors:
            connection = sqlite3.connect(
                self.path,
                timeout=timeout_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        return SqliteSession(connection)

    def _check_file(self) -> None:
        """Raises StorageFailed once the file is not the one that is open: what is written would be lost with it."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            found = None
        if found is not None and self._file is None:
            self._file = (found.st_dev, found.st_ino)
        elif self._file is not None and (found is None or self._file != (found.st_dev, found.st_ino)):
            raise StorageFailed(
                f"The database {self.path} was removed or replaced while it was in use.",
                fix="Put the file back in its place, or start Penstock again.",
            )

    def _give_back(self, session: SqliteSession) -> None:
        with self._guard:
            self._idle.append(session)

    def _transaction(self, session: SqliteSession, begin: str, work: Callable[[SqliteSession], T]) -> T:
        with self._errors:
            try:
                _begin(session, begin)
                result = work(session)
                session.connection.execute("COMMIT")
            except BaseException:
                if session.connection.in_transaction:
                    session.connection.rollback()
                raise
        return result

    def _part(self, session: SqliteSession, work: Callable[[SqliteSession], T]) -> T:
        """What ``work`` gives back; what it did is undone alone when it raises."""
        session.connection.execute("SAVEPOINT part")
        try:
            with self._errors:
                result = work(session)
        except BaseException:
            session.connection.execute("ROLLBACK TO part")
            session.connection.execute("RELEASE part")
            raise
        session.connection.execute("RELEASE part")
        return result


def _begin(session: SqliteSession, begin: str) -> None:
    try:
        session.connection.execute(begin)
    except sqlite3.OperationalError as error:
        if (getattr(error, "sqlite_errorname", "") or "").startswith("SQLITE_BUSY"):
            raise Busy("The database is locked by another program.", fix="Close that program or try again.") from error
        raise


class _Queue:
    """The order in which threads and processes write: a lock here and a file lock between processes.

    SQLite's own busy handler would do, but it polls, up to 100 ms apart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._file = -1

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            self._open()
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._thread.release()
            raise

    def enter_now(self) -> bool:
        """Whether nobody was in the way; then it is entered, and ``__exit__`` is owed."""
        if not self._thread.acquire(blocking=False):
            return False
        try:
            self._open()
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._thread.release()
            return False
        except BaseException:
            self._thread.release()
            raise
        return True

    def _open(self) -> None:
        if self._file < 0:
            with storage_errors(self._path):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        with self._thread:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


class sqlite_errors:  # noqa: N801  used like a function
    """Turns the driver's errors into Penstock's while a ``with`` block runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _translated(self._path, error) from error
        if isinstance(error, OverflowError):
            raise InvalidInput("A number is outside the range of 64 bits.", fix="Use a smaller number.") from error
        if isinstance(error, UnicodeEncodeError):
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
