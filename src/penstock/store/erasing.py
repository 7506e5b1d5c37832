"""Removing for good what was deleted: first a list of it with its rows, then the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from penstock.store.database import Session
from penstock.store.queries import Queries
from penstock.store.tracking import TrackingStore

SQL = Queries("erasing")
_OF_RUN = ("params", "tags", "metrics", "latest_metrics", "run_datasets", "run_models", "runs")
_OF_MODEL = ("logged_model_params", "logged_model_tags", "logged_model_metrics", "logged_models")
_OF_EXPERIMENT = ("experiment_tags", "datasets", "experiments")
_CHUNK = 500


class Erasable(Struct, frozen=True, kw_only=True):
    """A deleted thing: ``rows`` in the database, files at ``artifact_uri`` ('' when it has none of its own).

    ``kept_for`` names the registered model version that still needs its files.
    """

    kind: str
    identity: str
    experiment_id: str
    artifact_uri: str = ""
    rows: int
    kept_for: str | None = None


class Erasing:
    """The end of the lifecycle, for one tracking store."""

    def __init__(self, tracking: TrackingStore) -> None:
        self._database = tracking.database

    def list_erasable(self, *, before_ms: int) -> tuple[Erasable, ...]:
        """Runs, logged models and experiments that were deleted no later than ``before_ms``."""
        return self._database.read(lambda session: _erasable(session, {"before_ms": before_ms}))

    def erase(self, things: Sequence[Erasable]) -> int:
        """How many rows are gone. A thing that was restored meanwhile, or is still needed, stays."""
        free = [thing for thing in things if thing.kept_for is None]
        rows = 0
        for start in range(0, len(free), _CHUNK):
            rows += self._erase_together(free[start : start + _CHUNK])
        return rows

    def _erase_together(self, things: Sequence[Erasable]) -> int:
        return self._database.write(lambda session: sum(_erase(session, each) for each in things))


def _erasable(session: Session, wanted: dict[str, int]) -> tuple[Erasable, ...]:
    run_users = {row[0]: f"{row[1]} version {row[2]}" for row in session.rows(SQL.registered_runs)}
    model_users = {row[0]: f"{row[1]} version {row[2]}" for row in session.rows(SQL.registered_models)}
    runs = [
        Erasable(
            kind="run",
            identity=run_id,
            experiment_id=str(experiment_id),
            artifact_uri=artifact_uri,
            rows=rows,
            kept_for=run_users.get(run_id),
        )
        for _, run_id, experiment_id, artifact_uri, rows in session.rows(SQL.runs, wanted)
    ]
    models = [
        Erasable(
            kind="logged model",
            identity=model_id,
            experiment_id=str(experiment_id),
            artifact_uri=artifact_uri,
            rows=rows,
            kept_for=model_users.get(model_id),
        )
        for model_id, experiment_id, artifact_uri, rows in session.rows(SQL.models, wanted)
    ]
    experiments = [
        Erasable(kind="experiment", identity=str(number), experiment_id=str(number), rows=rows)
        for number, _, rows in session.rows(SQL.experiments, wanted)
    ]
    return (*runs, *models, *experiments)


def _erase(session: Session, thing: Erasable) -> int:
    if thing.kind == "run":
        return _erase_run(session, thing.identity)
    if thing.kind == "logged model":
        return _erase_from(session, _OF_MODEL, "model_id", thing.identity, "logged_models")
    (holding,) = session.row(SQL.still_holding, {"experiment_id": int(thing.identity)}) or (0,)
    if holding:
        return 0
    return _erase_from(session, _OF_EXPERIMENT, "experiment_id", int(thing.identity), "experiments")


def _erase_run(session: Session, run_id: str) -> int:
    number = session.row("SELECT run_no FROM runs WHERE run_id = :run_id", {"run_id": run_id})
    return _erase_from(session, _OF_RUN, "run_no", number[0], "runs") if number else 0


def _erase_from(session: Session, tables: Sequence[str], column: str, value: str | int, head: str) -> int:
    """Deletes the rows of a thing that is still deleted; table and column names are this file's own."""
    stage = session.row(f"SELECT lifecycle_stage FROM {head} WHERE {column} = :value", {"value": value})
    if stage is None or stage[0] != "deleted":
        return 0
    return sum(session.run(f"DELETE FROM {table} WHERE {column} = :value", {"value": value}) for table in tables)
