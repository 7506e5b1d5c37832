"""What runs log: metrics, params and tags, many batches of many runs in a few statements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from penstock.ground.entities import LifecycleStage, Metric, Param, Tag
from penstock.ground.errors import Conflict, InvalidInput, NotFound, PenstockError
from penstock.store import limits
from penstock.store.database import Session, single
from penstock.store.part import TAG_RUN_NAME
from penstock.store.queries import Queries
from penstock.store.search.vocabulary import INDEXED_CHARS

SQL = Queries("batches")
RUNS = Queries("runs")
PointRow = tuple[int, str, int, int, float, int]
PointRank = tuple[int, int, int, float]
PairRow = tuple[int, str, int, str, str]


class RunBatch(Struct, frozen=True, kw_only=True):
    """What one caller logs to one run in one go: stored whole or not at all."""

    run_id: str
    metrics: tuple[Metric, ...] = ()
    params: tuple[Param, ...] = ()
    tags: tuple[Tag, ...] = ()


class RunHead(Struct, frozen=True):
    """What a write must know of a run."""

    run_no: int
    experiment_id: int


def write_batches(session: Session, batches: Sequence[RunBatch]) -> list[PenstockError | None]:
    """For each batch None, or why nothing of it was stored."""
    heads = read_heads(session, {batch.run_id for batch in batches})
    known = _known_params(session, heads, batches)
    models = _known_models(session, batches)
    errors: list[PenstockError | None] = []
    good: list[tuple[RunHead, RunBatch]] = []
    for batch in batches:
        try:
            head = _checked(batch, heads, known, models)
        except PenstockError as error:
            errors.append(error)
        else:
            errors.append(None)
            good.append((head, batch))
    _store_params(session, good)
    _store_points(session, good)
    _store_tags(session, good)
    return errors


def read_heads(session: Session, run_ids: Iterable[str]) -> dict[str, RunHead | PenstockError]:
    """For each run that exists its head, or the error that says it is deleted."""
    heads: dict[str, RunHead | PenstockError] = {}
    for run_id, run_no, experiment_id, stage in session.rows(RUNS.heads, {"run_ids": list(run_ids)}):
        active = stage == LifecycleStage.ACTIVE
        heads[run_id] = RunHead(run_no, experiment_id) if active else deleted_run(run_id)
    return heads


def active_head(session: Session, run_id: str) -> RunHead:
    """The run's head. Raises NotFound, or InvalidInput when it is deleted."""
    head = read_heads(session, [run_id]).get(run_id, absent_run(run_id))
    if isinstance(head, PenstockError):
        raise head
    return head


def absent_run(run_id: str) -> NotFound:
    """The error for a run id that nobody knows."""
    return NotFound(f"Run with id={run_id[:300]} not found.", fix="Check the id and the tracking URI.")


def deleted_run(run_id: str) -> InvalidInput:
    """The error for a change to a deleted run."""
    return InvalidInput(
        f"The run {run_id} must be in the 'active' state. Current state is deleted.", fix="Restore it first."
    )


def _checked(
    batch: RunBatch,
    heads: dict[str, RunHead | PenstockError],
    known: dict[tuple[int, str], str],
    models: set[str],
) -> RunHead:
    """The batch's run, once every item of the batch is known to be good; its params join ``known``."""
    limits.check_batch(batch.metrics, batch.params, batch.tags)
    head = heads.get(batch.run_id) or absent_run(batch.run_id)
    if isinstance(head, PenstockError):
        raise head
    for metric in batch.metrics:
        if metric.model_id and metric.model_id not in models:
            raise NotFound(f"Logged model with ID '{metric.model_id}' not found.", fix="Create it first.")
    for param in batch.params:
        value = known.get((head.run_no, param.key), param.value)
        if value != param.value:
            raise _changed_param(batch.run_id, param, value)
    for param in batch.params:
        known[head.run_no, param.key] = param.value
    return head


def _changed_param(run_id: str, param: Param, value: str) -> InvalidInput:
    return InvalidInput(
        "Changing param values is not allowed. "
        f"Param with key='{param.key}' was already logged with value='{value[:500]}' for run ID='{run_id}'. "
        f"Attempted logging new value '{param.value[:500]}'.",
        fix="Log it under another key, or in a nested run.",
    )


def _known_params(
    session: Session, heads: dict[str, RunHead | PenstockError], batches: Sequence[RunBatch]
) -> dict[tuple[int, str], str]:
    keys = {param.key for batch in batches for param in batch.params}
    if not keys:
        return {}
    named = (heads.get(batch.run_id) for batch in batches if batch.params)
    numbers = {head.run_no for head in named if isinstance(head, RunHead)}
    rows = session.rows(SQL.known_params, {"run_nos": list(numbers), "keys": list(keys)})
    return {(run_no, key): value for run_no, key, value in rows}


def _known_models(session: Session, batches: Sequence[RunBatch]) -> set[str]:
    wanted = {metric.model_id for batch in batches for metric in batch.metrics if metric.model_id}
    return set(single(session.rows(SQL.known_models, {"model_ids": list(wanted)}))) if wanted else set()


def _store_params(session: Session, good: Sequence[tuple[RunHead, RunBatch]]) -> None:
    rows = {(head.run_no, param.key): _pair_row(head, param) for head, batch in good for param in batch.params}
    if not rows:
        return
    stored = session.many(SQL.add_params, sorted(rows.values()))
    if session.dialect.name == "postgres" and stored < len(rows):
        _refuse_overtaken(session, rows)


def _pair_row(head: RunHead, pair: Param | Tag) -> PairRow:
    return (head.run_no, pair.key, head.experiment_id, pair.value, pair.value[:INDEXED_CHARS])


def _refuse_overtaken(session: Session, rows: dict[tuple[int, str], PairRow]) -> None:
    """Raises Conflict when another connection stored another value between our look and our write."""
    wanted = {"run_nos": [key[0] for key in rows], "keys": [key[1] for key in rows]}
    for run_no, key, value in session.rows(SQL.known_params, wanted):
        if (run_no, key) in rows and rows[run_no, key][3] != value:
            raise Conflict(f"The param '{key}' was logged with another value meanwhile.", fix="Try again.")


def _store_points(session: Session, good: Sequence[tuple[RunHead, RunBatch]]) -> None:
    points: list[PointRow] = []
    latest: dict[tuple[int, str], tuple[PointRank, int, PointRow]] = {}
    for head, batch in good:
        for metric in batch.metrics:
            row = point_row(head.run_no, metric)
            points.append(row)
            rank = point_rank(row)
            best = latest.get((head.run_no, metric.key))
            if best is None or rank > best[0]:
                latest[head.run_no, metric.key] = (rank, head.experiment_id, row)
    session.many(SQL.add_points, points)
    session.many(SQL.raise_latest, sorted(_latest_row(experiment, row) for _, experiment, row in latest.values()))
    session.many(SQL.add_model_points, sorted(_model_points(good)))


def point_row(run_no: int, metric: Metric) -> PointRow:
    """The row of a point: a NaN is value 0 with the mark 1."""
    nan = math.isnan(metric.value)
    return (run_no, metric.key, metric.timestamp_ms, metric.step, 0.0 if nan else float(metric.value), int(nan))


def point_rank(row: PointRow) -> PointRank:
    return (row[3], row[2], 1 - row[5], row[4])


def _latest_row(experiment_id: int, row: PointRow) -> tuple[int, str, int, float, int, int, int]:
    run_no, key, timestamp_ms, step, value, is_nan = row
    return (run_no, key, experiment_id, value, is_nan, step, timestamp_ms)


def _model_points(
    good: Sequence[tuple[RunHead, RunBatch]],
) -> list[tuple[str, str, str, str, int, int, float, int, str]]:
    rows = {}
    for head, batch in good:
        for metric in batch.metrics:
            if metric.model_id:
                _, key, timestamp_ms, step, value, is_nan = point_row(head.run_no, metric)
                name, digest = metric.dataset_name or "", metric.dataset_digest or ""
                identity = (metric.model_id, key, name, digest, timestamp_ms, step, batch.run_id)
                rows[identity] = (*identity[:6], value, is_nan, batch.run_id)
    return list(rows.values())


def _store_tags(session: Session, good: Sequence[tuple[RunHead, RunBatch]]) -> None:
    rows = {(head.run_no, tag.key): _pair_row(head, tag) for head, batch in good for tag in batch.tags}
    session.many(SQL.set_tags, sorted(rows.values()))
    for (run_no, key), row in rows.items():
        if key == TAG_RUN_NAME:
            session.run(RUNS.rename, {"run_no": run_no, "run_name": row[3]})
