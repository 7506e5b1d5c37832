"""Taking in what another store kept: with its ids, times, lifecycle and version numbers. Taking it in twice is fine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from penstock.ground.entities import Experiment, LifecycleStage, LoggedModel, Metric, ModelVersion, RegisteredModel, Run
from penstock.ground.errors import AlreadyExists, Conflict
from penstock.store.batches import RunBatch, write_batches
from penstock.store.database import Session
from penstock.store.experiments import DEFAULT_NAME
from penstock.store.limits import MAX_METRICS, MAX_PARAMS, MAX_TAGS
from penstock.store.logged_models import insert_logged_model
from penstock.store.queries import Queries
from penstock.store.runs import insert_run
from penstock.store.tracking import TrackingStore

SQL = Queries("intake")
EXPERIMENTS = Queries("experiments")
REGISTRY = Queries("registry")
BATCHES = Queries("batches")
DEFAULT_ID = 0


class Intake:
    """The write side of moving in, for ``tracking`` and the registry beside it. Each ``put`` is one transaction."""

    def __init__(self, tracking: TrackingStore) -> None:
        self._tracking = tracking
        self._database = tracking.database

    def put_experiment(self, experiment: Experiment) -> None:
        """Keeps the experiment under its own id. Raises Conflict when the id or the name is another experiment's."""
        number = int(experiment.experiment_id)
        values = {
            "experiment_id": number,
            "name": experiment.name,
            "artifact_location": experiment.artifact_location,
            "lifecycle_stage": experiment.lifecycle_stage.value,
            "creation_time_ms": experiment.creation_time_ms,
            "last_update_time_ms": experiment.last_update_time_ms,
        }

        def work(session: Session) -> None:
            if number == DEFAULT_ID:
                session.run(SQL.drop_empty_default, {"experiment_id": DEFAULT_ID, "name": DEFAULT_NAME})
            for other in session.rows(SQL.namesakes, {"experiment_id": number, "name": experiment.name}):
                if other != (number, experiment.name):
                    raise _taken(experiment, other)
            session.run(EXPERIMENTS.create_with_id, values)
            session.run(SQL.update_experiment, values)
            tags = [(number, tag.key, tag.value) for tag in experiment.tags]
            session.many(EXPERIMENTS.set_tags, tags)
            if session.dialect.name == "postgres":
                session.run(SQL.raise_experiment_serial)

        self._database.write(work)

    def put_run(self, run: Run, points: Iterable[Metric], *, deleted_time_ms: int | None = None) -> None:
        """Keeps the run with everything it logged, whole or not at all. Its experiment has to be there."""

        def work(session: Session) -> None:
            try:
                insert_run(session, run.info)
            except AlreadyExists:
                session.run(SQL.update_run, _run_values(run))
            session.run(SQL.set_run_stage, _stage(run, LifecycleStage.ACTIVE, None))
            for batch in _batches(run, points):
                for error in write_batches(session, [batch]):
                    if error is not None:
                        raise error
            self._tracking.log_inputs(run.info.run_id, datasets=run.dataset_inputs, models=run.model_inputs)
            self._tracking.log_outputs(run.info.run_id, models=run.model_outputs)
            session.run(SQL.set_run_stage, _stage(run, run.info.lifecycle_stage, deleted_time_ms))

        self._database.write(work)

    def put_logged_model(self, model: LoggedModel, *, is_deleted: bool = False) -> None:
        """Keeps the logged model with its params, tags and points."""

        def work(session: Session) -> None:
            session.run(SQL.drop_logged_model, {"model_id": model.model_id})
            insert_logged_model(session, model)
            session.many(BATCHES.add_model_points, [_model_point(model.model_id, point) for point in model.metrics])
            stage = LifecycleStage.DELETED if is_deleted else LifecycleStage.ACTIVE
            session.run(SQL.set_model_stage, {"model_id": model.model_id, "stage": stage.value})

        self._database.write(work)

    def put_registered_model(self, model: RegisteredModel) -> None:
        """Keeps the registered model, its tags and aliases; versions are put one by one."""

        def work(session: Session) -> None:
            values = {
                "name": model.name,
                "creation_time_ms": model.creation_time_ms,
                "last_update_time_ms": model.last_update_time_ms,
                "description": model.description,
            }
            session.run(REGISTRY.create_model, values)
            session.run(SQL.update_model, values)
            session.many(REGISTRY.set_model_tags, [(model.name, tag.key, tag.value) for tag in model.tags])
            for alias in model.aliases:
                session.run(REGISTRY.set_alias, {"name": model.name, "alias": alias.alias, "version": alias.version})

        self._database.write(work)

    def put_version(self, version: ModelVersion, *, is_deleted: bool = False) -> None:
        """Keeps the version under its own number; of a deleted one only the number."""
        values = {
            "name": version.name,
            "version": version.version,
            "creation_time_ms": version.creation_time_ms,
            "last_update_time_ms": version.last_update_time_ms,
            "source": version.source,
            "run_id": version.run_id,
            "run_link": version.run_link,
            "model_id": version.model_id,
            "user_id": version.user_id,
            "description": version.description,
            "current_stage": version.current_stage,
            "status": version.status,
            "status_message": version.status_message,
        }

        def work(session: Session) -> None:
            session.run(SQL.drop_version, {"name": version.name, "version": version.version})
            session.run(REGISTRY.create_version, values)
            rows = [(version.name, version.version, tag.key, tag.value) for tag in version.tags]
            session.many(REGISTRY.set_version_tags, rows)
            if is_deleted:
                now_ms = version.last_update_time_ms
                redacted = {"name": version.name, "version": version.version, "now_ms": now_ms}
                session.run(REGISTRY.redact_version, redacted)

        self._database.write(work)


def _taken(experiment: Experiment, other: tuple[object, ...]) -> Conflict:
    return Conflict(
        f"The experiment {experiment.experiment_id} {experiment.name!r} would meet {other[0]} {other[1]!r} here.",
        fix="Import into an empty store, or rename one of the two.",
    )


def _run_values(run: Run) -> dict[str, object]:
    info = run.info
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "user_id": info.user_id,
        "status": info.status.value,
        "start_time_ms": info.start_time_ms or 0,
        "end_time_ms": info.end_time_ms,
        "artifact_uri": info.artifact_uri,
    }


def _stage(run: Run, stage: LifecycleStage, deleted_time_ms: int | None) -> dict[str, object]:
    return {"run_id": run.info.run_id, "stage": stage.value, "deleted_time_ms": deleted_time_ms}


def _batches(run: Run, points: Iterable[Metric]) -> Iterator[RunBatch]:
    """Params, tags and points in batches of the size that one write takes."""
    run_id = run.info.run_id
    for start in range(0, len(run.data.params), MAX_PARAMS):
        yield RunBatch(run_id=run_id, params=run.data.params[start : start + MAX_PARAMS])
    for start in range(0, len(run.data.tags), MAX_TAGS):
        yield RunBatch(run_id=run_id, tags=run.data.tags[start : start + MAX_TAGS])
    walk = iter(points)
    while chunk := tuple(islice(walk, MAX_METRICS)):
        yield RunBatch(run_id=run_id, metrics=chunk)


def _model_point(model_id: str, point: Metric) -> tuple[object, ...]:
    nan = point.value != point.value
    name, digest = point.dataset_name or "", point.dataset_digest or ""
    value = 0.0 if nan else point.value
    return (
        model_id, point.key, name, digest, point.timestamp_ms, point.step, value, int(nan), point.run_id or "",
    )  # fmt: skip
