"""What this machine could do at most: bare transactions of the same database, an empty handler on the same HTTP server.

Each is the same work with everything of Penstock's taken away, measured in the same quiet minutes as the rows.
"""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracking_parts.load import post, rate
from tracking_parts.servers import free_port

EMPTY_HANDLER = """
import sys
from penstock.serving.http.server import run
from penstock.serving.http.types import Limits, Response

class Empty:
    def limits(self, head):
        return Limits()
    def __call__(self, request):
        return Response(200, b"{}", [("content-type", "application/json")])

run(Empty(), port=int(sys.argv[1]), ready=lambda _: print("ready", flush=True))
"""
CREATE = (
    "CREATE TABLE bare (run_no BIGINT, key TEXT, time BIGINT, step BIGINT, value DOUBLE PRECISION, is_nan BIGINT, "
    "PRIMARY KEY (run_no, key, time, step, value, is_nan))"
)
FOUND = (
    "SELECT r.run_no, r.run_id FROM latest_metrics a JOIN params p ON p.run_no = a.run_no AND p.key = 'p0' "
    "JOIN latest_metrics b ON b.run_no = a.run_no AND b.key = 'm1' JOIN runs r ON r.run_no = a.run_no "
    "WHERE a.experiment_id = {experiment} AND a.key = 'm0' AND a.is_nan = 0 AND a.value > 0.5 "
    "AND p.experiment_id = {experiment} AND p.head = '3' AND r.lifecycle_stage = 'active' "
    "ORDER BY b.value DESC LIMIT 100"
)
POINTS = "SELECT timestamp_ms, step, value FROM metrics WHERE run_no = {run} AND key = 'long' ORDER BY timestamp_ms"


def empty_handler(connections: int, seconds: float) -> float:
    """Requests a second of a handler that does nothing, for the body of a log-metric call."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", EMPTY_HANDLER, str(port)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            body = {"run_id": "a" * 32, "key": "m1", "value": 0.5, "timestamp": 1_700_000_000_000, "step": 1}
            return rate(port, lambda _: post("runs/log-metric", body), connections=connections, seconds=seconds)[0]
        finally:
            process.terminate()


def transactions(uri: str, folder: Path, *, rows: int, seconds: float) -> float:
    """Transactions of ``rows`` rows a second on one connection, each on disk before the next one begins."""
    numbers = itertools.count()

    def batch() -> list[tuple[Any, ...]]:
        start = next(numbers)
        return [(start, f"k{n % 10}", start, n, 0.5, 0) for n in range(rows)]

    if uri.startswith("sqlite"):
        return _sqlite_transactions(folder, batch, seconds)
    return _postgres_transactions(uri, batch, seconds)


def queries(uri: str, sql: str, seconds: float) -> float:
    """How often a second one connection runs ``sql`` and fetches all rows."""
    if uri.startswith("sqlite"):
        connection: Any = sqlite3.connect(uri.removeprefix("sqlite:///"))
        return _per_second(lambda: connection.execute(sql).fetchall(), seconds)
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        return _per_second(lambda: connection.execute(sql, prepare=True).fetchall(), seconds)


def _sqlite_transactions(folder: Path, batch: Callable[[], list[tuple[Any, ...]]], seconds: float) -> float:
    path = folder / "bare.db"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"{CREATE} WITHOUT ROWID")

    def one() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?)", batch())
        connection.execute("COMMIT")

    return _per_second(one, seconds)


def _postgres_transactions(uri: str, batch: Callable[[], list[tuple[Any, ...]]], seconds: float) -> float:
    import psycopg

    kinds = ("bigint", "text", "bigint", "bigint", "float8", "bigint")
    insert = f"INSERT INTO bare SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds)})".encode()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(CREATE.encode())
        found = _per_second(
            lambda: connection.execute(insert, [list(column) for column in zip(*batch(), strict=True)], prepare=True),
            seconds,
        )
        connection.execute("DROP TABLE bare")
    return found


def _per_second(call: Callable[[], object], seconds: float) -> float:
    call()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - begun)
