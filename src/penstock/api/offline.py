"""What is made although the server is away: experiments, runs, models and files that wait on disk to be sent."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.api.connection import Connection
from penstock.api.recording.absent import EnsureExperiment, LogFile, StartModel, StartRun
from penstock.api.watching import watcher
from penstock.artifacts.paths import join_path
from penstock.artifacts.repository import files_below
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.entities import Experiment, LoggedModel, Run, RunData, RunInfo
from penstock.ground.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from penstock.store.tracking import TrackingStore


def start_run(connection: Connection, start: StartRun) -> Run:
    """The run, made by the server or, while that is away, as it will be made."""
    later = Run(
        info=RunInfo(
            run_id=start.run_id,
            run_name=start.run_name,
            experiment_id=start.experiment_id,
            user_id=start.user_id,
            start_time_ms=start.start_time_ms,
            artifact_uri="",
        ),
        data=RunData(tags=start.tags),
    )
    run = connection.now_or_later(
        lambda tracking: tracking.create_run(
            connection.identities.of(start.experiment_id),
            run_name=start.run_name,
            start_time_ms=start.start_time_ms,
            user_id=start.user_id,
            tags=start.tags,
            run_id=start.run_id,
        ),
        start,
        later,
    )
    if run is later:
        warnings.warn(
            f"{connection.uri} is away: the run {start.run_id} waits on disk. Run `penstock sync` once it is back.",
            stacklevel=4,
        )
    return run


def find_or_make_experiment(connection: Connection, name: str) -> Experiment:
    """The experiment of that name, made if it was not there; while the server is away, a stand-in for it."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    now_ms = SYSTEM_CLOCK.now_ms()
    later = Experiment(
        experiment_id=f"away-{digest}",
        name=name,
        artifact_location="",
        creation_time_ms=now_ms,
        last_update_time_ms=now_ms,
    )

    def ask(tracking: TrackingStore) -> Experiment:
        found = tracking.find_experiment_by_name(name)
        return found or tracking.get_experiment(tracking.create_experiment(name))

    return connection.now_or_later(ask, EnsureExperiment(experiment_id=later.experiment_id, name=name), later)


def start_model(connection: Connection, start: StartModel) -> LoggedModel:
    """The logged model, PENDING, made by the server or, while that is away, as it will be made."""
    now_ms = SYSTEM_CLOCK.now_ms()
    later = LoggedModel(
        model_id=start.model_id,
        experiment_id=start.experiment_id,
        name=start.name,
        artifact_uri=f"models:/{start.model_id}",
        creation_time_ms=now_ms,
        last_update_time_ms=now_ms,
        model_type=start.model_type,
        source_run_id=start.run_id,
        params=start.params,
        tags=start.tags,
    )
    return connection.now_or_later(
        lambda tracking: tracking.create_logged_model(
            connection.identities.of(start.experiment_id),
            name=start.name,
            model_type=start.model_type,
            source_run_id=connection.identities.of(start.run_id) if start.run_id else None,
            params=start.params,
            tags=start.tags,
            model_id=start.model_id,
        ),
        start,
        later,
    )


def upload(connection: Connection, local: Path, path: str, *, run_id: str = "", model_id: str = "") -> None:
    """Keeps the file or the tree ``local`` as the artifact ``path`` of a run or of a logged model.

    While the server is away, copies wait on disk. Raises NotFound when ``local`` is not there, IntegrityError.
    """
    if not local.exists():
        raise NotFound(f"There is no {local} to upload.", fix="Check the path.")
    recorder = connection.recorder
    if recorder.caught_up():
        try:
            artifacts = connection.artifacts(connection.artifact_uri(run_id=run_id, model_id=model_id))
            (artifacts.upload_tree if local.is_dir() else artifacts.upload)(local, path, progress=watcher())
        except Unavailable:
            pass
        else:
            return
    for file, name in _files(local, path):
        recorder.record(LogFile(run_id=run_id, model_id=model_id, path=name, file=recorder.keep(file)))
    recorder.flush()


def _files(local: Path, path: str) -> Iterator[tuple[Path, str]]:
    if local.is_file():
        yield local, path
        return
    for file in files_below(local):
        yield file, join_path(path, file.relative_to(local).as_posix())
