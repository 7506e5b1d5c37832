"""Many batches of many runs, logged together; metric points alone, which is most of what training loops log, go in one
statement where the database can do that."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct
from msgspec.json import encode

from penstock.ground.entities import LifecycleStage, Metric, Param, Tag
from penstock.ground.errors import PenstockError
from penstock.ground.wire import write_double
from penstock.store import limits
from penstock.store.batches import PointRank, RunBatch, absent_run, deleted_run, point_rank, point_row, write_batches
from penstock.store.database import Database, Session
from penstock.store.part import Part
from penstock.store.queries import Queries

SQL = Queries("batches")
MAX_POINTS = 256


class Point(Struct, frozen=True):
    """A point as the query put_points reads it. JSON lacks infinities: they come as texts, to be read as numbers."""

    run_id: str
    key: str
    timestamp_ms: int
    step: int
    value: float | str
    is_nan: int


class Batches(Part):
    """The write that training loops wait for."""

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[Tag] = (),
    ) -> None:
        """Stores it all in one transaction.

        Raises NotFound when the run is not there, InvalidInput when it is deleted, when an item is malformed, or when
        a param has another value already; then nothing is stored.
        """
        batch = RunBatch(run_id=run_id, metrics=tuple(metrics), params=tuple(params), tags=tuple(tags))
        for error in self.log_batches([batch]):
            if error is not None:
                raise error

    def log_batches(self, batches: Sequence[RunBatch]) -> list[PenstockError | None]:
        """For each batch None, or why it was refused. The good ones share one transaction."""
        return log_together(self.database, batches)


def log_together(database: Database, batches: Sequence[RunBatch], *, now: bool = False) -> list[PenstockError | None]:
    """For each batch None, or why it was refused; the good ones are stored in one transaction.

    With ``now`` raises Busy rather than wait for another writer.
    """
    if database.dialect.name == "postgres" and _only_points(batches):
        return database.write_once(lambda session: _put_points(session, batches))
    write = database.write_now if now else database.write
    return write(lambda session: write_batches(session, batches))


def _only_points(batches: Sequence[RunBatch]) -> bool:
    """Whether there is nothing but points of runs, and few enough that looking up each one's run is cheap."""
    points = 0
    for batch in batches:
        points += len(batch.metrics)
        if batch.params or batch.tags or any(metric.model_id for metric in batch.metrics):
            return False
    return 0 < points <= MAX_POINTS


def _put_points(session: Session, batches: Sequence[RunBatch]) -> list[PenstockError | None]:
    problems = [_problem(batch) for batch in batches]
    good = [batch for batch, problem in zip(batches, problems, strict=True) if problem is None]
    points: list[Point] = []
    latest: dict[tuple[str, str], tuple[PointRank, Point]] = {}
    for batch in good:
        for metric in batch.metrics:
            row = point_row(0, metric)
            point = Point(batch.run_id, *row[1:4], row[4] if math.isfinite(row[4]) else write_double(row[4]), row[5])
            points.append(point)
            rank, best = point_rank(row), latest.get((batch.run_id, metric.key))
            if best is None or rank > best[0]:
                latest[batch.run_id, metric.key] = (rank, point)
    run_ids = list(dict.fromkeys(batch.run_id for batch in good))
    parameters = {**_as_json(points, [point for _, point in latest.values()]), "run_ids": run_ids}
    rows = session.rows(SQL.put_points, parameters) if points else []
    stages = {row[0]: row[3] for row in rows}
    return [
        problem if problem is not None else _unstored(batch.run_id, stages.get(batch.run_id))
        for batch, problem in zip(batches, problems, strict=True)
    ]


def _problem(batch: RunBatch) -> PenstockError | None:
    try:
        limits.check_batch(batch.metrics, (), ())
    except PenstockError as error:
        return error
    return None


def _unstored(run_id: str, stage: str | None) -> PenstockError | None:
    if stage is None:
        return absent_run(run_id)
    return None if stage == LifecycleStage.ACTIVE else deleted_run(run_id)


def _as_json(points: list[Point], latest: list[Point]) -> dict[str, str]:
    """Both as JSON, in the order of their rows, so that two writers never wait for each other in a circle."""
    newest = sorted(latest, key=lambda point: (point.run_id, point.key))
    return {"points": encode(points).decode(), "latest": encode(newest).decode()}
