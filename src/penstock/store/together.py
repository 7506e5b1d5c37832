"""Many batches of many runs, logged together; metric points alone, which is most of what training loops log, go in one
statement where the database can do that."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.ground.entities import LifecycleStage, Metric, Param, Tag
from penstock.ground.errors import PenstockError
from penstock.store import limits
from penstock.store.batches import PointRow, RunBatch, absent_run, deleted_run, point_rank, point_row, write_batches
from penstock.store.database import Database, Session
from penstock.store.part import Part
from penstock.store.queries import Queries

SQL = Queries("batches")
MAX_POINTS = 256
COLUMNS = ("runs", "keys", "times", "steps", "values", "nans")
TextRow = tuple[str, str, int, int, float, int]


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
    points: list[TextRow] = []
    latest: dict[tuple[str, str], PointRow] = {}
    for batch in good:
        for metric in batch.metrics:
            row = point_row(0, metric)
            points.append((batch.run_id, *row[1:]))
            best = latest.get((batch.run_id, metric.key))
            if best is None or point_rank(row) > point_rank(best):
                latest[batch.run_id, metric.key] = row
    newest = [(run_id, *row[1:]) for (run_id, _), row in sorted(latest.items())]
    rows = session.rows(SQL.put_points, {**_columns("p", sorted(points)), **_columns("l", newest)}) if points else []
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


def _columns(prefix: str, rows: Sequence[TextRow]) -> dict[str, object]:
    """One array a column."""
    columns = zip(*rows, strict=True)
    return {f"{prefix}_{name}": list(column) for name, column in zip(COLUMNS, columns, strict=True)}
