"""The same rows for every contender: experiments of 1 000, 10 000 and 100 000 runs, each with 3 metrics and 3 params.

They are written straight into each one's own tables: through its API MLflow would need hours for them.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tracking_parts.load import Caller

BATCH = 10_000
Rows = Sequence[tuple[Any, ...]]


class SeededRun(NamedTuple):
    """One run to be."""

    experiment: int
    run_id: str
    start_ms: int
    metrics: tuple[float, ...]
    params: tuple[str, ...]


def seeded_runs(experiments: dict[int, int]) -> Iterator[SeededRun]:
    """The runs of each experiment, given as size -> number; the same ones at every call."""
    chance = random.Random(1)
    for size, experiment in experiments.items():
        for index in range(size):
            metrics = tuple(chance.random() for _ in range(3))
            params = tuple(str(chance.randrange(10)) for _ in range(3))
            yield SeededRun(experiment, f"{chance.getrandbits(128):032x}", 1_700_000_000_000 + index, metrics, params)


def make_experiments(port: int, sizes: Sequence[int]) -> dict[int, int]:
    """size -> the experiment's number, through the server's own API."""
    caller = Caller(port)
    return {size: int(caller.post("experiments/create", name=f"e{size}")["experiment_id"]) for size in sizes}


def fill(uri: str, experiments: dict[int, int], *, mlflow: bool) -> None:
    """Writes the rows of ``seeded_runs`` into the database at ``uri``."""
    tables = _mlflow_tables if mlflow else _own_tables
    with Writer(uri) as writer:
        batch: list[SeededRun] = []
        offset = 1_000_000  # of the runs' numbers in our own tables, past any that exist
        for run in seeded_runs(experiments):
            batch.append(run)
            if len(batch) == BATCH:
                writer.write(tables(batch, offset))
                offset += len(batch)
                batch = []
        writer.write(tables(batch, offset))
        writer.finish(own=not mlflow)


class Writer:
    """A database that takes many rows at a time: SQLite by executemany, PostgreSQL by COPY."""

    def __init__(self, uri: str) -> None:
        self.is_sqlite = uri.startswith("sqlite:///")
        if self.is_sqlite:
            self.connection: Any = sqlite3.connect(uri.removeprefix("sqlite:///"), timeout=60)
        else:
            import psycopg

            self.connection = psycopg.connect(uri)

    def write(self, tables: dict[str, tuple[str, Rows]]) -> None:
        for table, (columns, rows) in tables.items():
            if self.is_sqlite:
                marks = ", ".join("?" for _ in columns.split(","))
                self.connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
            else:
                with self.connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)

    def finish(self, *, own: bool) -> None:
        """What a database that has lived for a while has: statistics, and (PostgreSQL) a serial past its rows."""
        if own and not self.is_sqlite:
            self.connection.execute(
                "SELECT setval(pg_get_serial_sequence('runs', 'run_no'), (SELECT MAX(run_no) FROM runs))"
            )
        self.connection.commit()
        if self.is_sqlite and not own:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if not self.is_sqlite:
            self.connection.autocommit = True
            self.connection.execute("VACUUM ANALYZE")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def _own_tables(runs: list[SeededRun], offset: int) -> dict[str, tuple[str, Rows]]:
    numbered = [(offset + place, run) for place, run in enumerate(runs)]
    points = [(n, f"m{k}", run.experiment, v, 0, 0, 1) for n, run in numbered for k, v in enumerate(run.metrics)]
    return {
        "runs": (
            "run_no,run_id,experiment_id,run_name,user_id,status,start_time_ms,lifecycle_stage,artifact_uri",
            [
                (n, run.run_id, run.experiment, f"run-{n}", "me", "FINISHED", run.start_ms, "active", _place(run))
                for n, run in numbered
            ],
        ),
        "latest_metrics": ("run_no,key,experiment_id,value,is_nan,step,timestamp_ms", points),
        "metrics": (
            "run_no,key,timestamp_ms,step,value,is_nan",
            [(n, key, 1, 0, value, 0) for n, key, _, value, *_ in points],
        ),
        "params": (
            "run_no,key,experiment_id,value,head",
            [(n, f"p{k}", run.experiment, v, v) for n, run in numbered for k, v in enumerate(run.params)],
        ),
        "tags": (
            "run_no,key,experiment_id,value,head",
            [(n, "mlflow.runName", run.experiment, f"run-{n}", f"run-{n}") for n, run in numbered],
        ),
    }


def _mlflow_tables(runs: list[SeededRun], offset: int) -> dict[str, tuple[str, Rows]]:
    points = [(f"m{k}", v, 1, 0, False, run.run_id) for run in runs for k, v in enumerate(run.metrics)]
    columns = "key,value,timestamp,step,is_nan,run_uuid"
    return {
        "runs": (
            "run_uuid,name,source_type,user_id,status,start_time,lifecycle_stage,artifact_uri,experiment_id",
            [
                (run.run_id, f"run-{offset + place}", "LOCAL", "me", "FINISHED", run.start_ms, "active", _place(run),
                 run.experiment)
                for place, run in enumerate(runs)
            ],
        ),
        "latest_metrics": (columns, points),
        "metrics": (columns, points),
        "params": ("key,value,run_uuid", [(f"p{k}", v, run.run_id) for run in runs for k, v in enumerate(run.params)]),
        "tags": (
            "key,value,run_uuid",
            [("mlflow.runName", f"run-{offset + place}", run.run_id) for place, run in enumerate(runs)],
        ),
    }  # fmt: skip


def _place(run: SeededRun) -> str:
    return f"mlflow-artifacts:/{run.experiment}/{run.run_id}/artifacts"


def add_long_metric(uri: str, run_id: str, points: range, *, mlflow: bool) -> None:
    """Adds these points (step and time are the number) to the metric 'long' of a run."""
    with Writer(uri) as writer:
        if mlflow:
            rows = [("long", n / 7, n, n, False, run_id) for n in points]
            writer.write({"metrics": ("key,value,timestamp,step,is_nan,run_uuid", rows)})
        else:
            mark = "?" if writer.is_sqlite else "%s"
            found = writer.connection.execute(f"SELECT run_no FROM runs WHERE run_id = {mark}", (run_id,)).fetchone()
            rows = [(found[0], "long", n, n, n / 7, 0) for n in points]
            writer.write({"metrics": ("run_no,key,timestamp_ms,step,value,is_nan", rows)})
        writer.finish(own=False)
