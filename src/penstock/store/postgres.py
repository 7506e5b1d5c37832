"""PostgreSQL through psycopg 3: pooled connections, prepared statements, deadlocks and lost connections retried."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from penstock.ground.errors import Conflict, Forbidden, InvalidInput, PenstockError, StorageFailed, Unavailable
from penstock.store.database import NOTHING, Row, Uncertain
from penstock.store.dialect import POSTGRES, Dialect

T = TypeVar("T")
ATTEMPTS = 5
# Every search says itself in which order tables are joined, by index (store/search/leading.py): the planner's own
# ideas, which follow statistics and read whole tables in parallel, are turned off for this connection.
SETTINGS = b"""
SET jit = off; SET join_collapse_limit = 1; SET from_collapse_limit = 1; SET enable_seqscan = off;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off;
SET max_parallel_workers_per_gather = 0; SET plan_cache_mode = force_generic_plan
"""
MIGRATION_LOCK = 7_265_736_867  # any number, the same in every Penstock


class PostgresSession:
    """A connection as a session. Bulk rows travel as one array a column, in a single statement."""

    dialect: Dialect = POSTGRES

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection

    def rows(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> list[Row]:
        return self._execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> Row | None:
        return self._execute(sql, parameters).fetchone()

    def run(self, sql: str, parameters: Mapping[str, Any] = NOTHING) -> int:
        return self._execute(sql, parameters).rowcount

    def many(self, sql: str, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        columns = [list(column) for column in zip(*rows, strict=True)]
        return self.connection.execute(_text(POSTGRES.compile(sql)), columns).rowcount

    def script(self, sql: str) -> None:
        self.connection.execute(_text(POSTGRES.compile(sql).replace("%%", "%")))

    def _execute(self, sql: str, parameters: Mapping[str, Any]) -> psycopg.Cursor[Row]:
        bound = {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}
        # Numbers travel as their bits: neither side prints or parses them.
        return self.connection.execute(_text(POSTGRES.compile(sql)), bound, binary=True)


def _text(sql: str) -> bytes:
    # psycopg types a text query as a literal, to keep user text out; here it comes from .sql files and pure compilers.
    return sql.encode()


class PostgresDatabase:
    """A server's database and its idle connections."""

    dialect: Dialect = POSTGRES

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._idle: list[PostgresSession] = []
        self._guard = threading.Lock()
        self._current = threading.local()

    def read(self, work: Callable[[PostgresSession], T]) -> T:
        current: PostgresSession | None = getattr(self._current, "session", None)
        if current is not None:
            return work(current)

        def attempt() -> T:
            with self._connection() as session:
                return work(session)

        return _retried(attempt)

    def write(self, work: Callable[[PostgresSession], T]) -> T:
        current: PostgresSession | None = getattr(self._current, "session", None)
        if current is not None:
            with postgres_errors(), current.connection.transaction():
                return work(current)

        def attempt() -> T:
            with self._connection() as session:
                self._current.session = session
                try:
                    return _transaction(session, work)
                finally:
                    self._current.session = None

        return _retried(attempt)

    def write_now(self, work: Callable[[PostgresSession], T]) -> T:
        return self.write(work)  # writers of PostgreSQL do not queue

    def write_once(self, work: Callable[[PostgresSession], T]) -> T:
        return self.read(work)  # outside a transaction each statement is one

    def migrate(self, work: Callable[[PostgresSession], T]) -> T:
        def guarded(session: PostgresSession) -> T:
            session.run("SELECT pg_advisory_xact_lock(:lock)", {"lock": MIGRATION_LOCK})
            return work(session)

        return self.write(guarded)

    def close(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        for session in idle:
            session.connection.close()

    @contextmanager
    def _connection(self) -> Iterator[PostgresSession]:
        with self._guard:
            session = self._idle.pop() if self._idle else None
        with postgres_errors():
            session = session or self._connect()
            try:
                yield session
            finally:
                self._return(session)

    def _return(self, session: PostgresSession) -> None:
        status = session.connection.info.transaction_status
        if session.connection.broken or session.connection.closed or status != psycopg.pq.TransactionStatus.IDLE:
            session.connection.close()
            return
        with self._guard:
            self._idle.append(session)

    def _connect(self) -> PostgresSession:
        connection = psycopg.connect(self.uri, autocommit=True, connect_timeout=10, application_name="penstock")
        connection.prepare_threshold = 2
        connection.execute(SETTINGS)
        return PostgresSession(connection)


def _transaction(session: PostgresSession, work: Callable[[PostgresSession], T]) -> T:
    connection = session.connection
    connection.execute("BEGIN")
    try:
        result = work(session)
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise
    try:
        connection.execute("COMMIT")
    except psycopg.OperationalError as error:
        raise Uncertain(
            "The connection to PostgreSQL was lost while a change was being committed; it may be stored or not.",
            fix="Read again before repeating it.",
        ) from error
    return result


class _Lost(Unavailable):
    """Nothing was committed: the same work can be run again."""


def _retried(attempt: Callable[[], T]) -> T:
    """What ``attempt`` gives back; tried again when PostgreSQL undid it for a deadlock or lost the connection."""
    for _ in range(ATTEMPTS - 1):
        with suppress(_Lost):
            return attempt()
    return attempt()


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Turns the driver's errors into Penstock's."""
    try:
        yield
    except psycopg.Error as error:
        raise _translated(error) from error
    except UnicodeEncodeError as error:
        raise InvalidInput("A text is not valid Unicode.", fix="Remove its lone surrogates.") from error


def _translated(error: psycopg.Error) -> PenstockError:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    state = error.sqlstate or ""
    if state.startswith("40"):
        return _Lost(f"PostgreSQL undid the change: {text}.", fix="Try again.")
    if state.startswith("23"):
        return Conflict(f"The change collides with another one: {text}.", fix="Read again, then retry.")
    if state.startswith(("22", "54")) or isinstance(error, psycopg.DataError):
        return InvalidInput(f"PostgreSQL refused a value: {text}.", fix="Give a value it can store.")
    if state.startswith(("28", "42501")):
        return Forbidden(f"PostgreSQL refused: {text}.", fix="Check the user, the password and the rights in the URI.")
    if state.startswith(("53100", "25006", "58", "42", "3D")):
        return StorageFailed(f"PostgreSQL cannot do it: {text}.", fix="Check the database's disk, rights and schema.")
    return _Lost(f"PostgreSQL is away: {text}.", fix="Check that it runs and that the URI names its host and port.")
