"""A store as the place where recorded operations end: the server's names are used, and repeats are no-ops."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import singledispatchmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from penstock.api import names
from penstock.api.recording.absent import (
    Absent,
    EnsureExperiment,
    FinishModel,
    LogFile,
    LogInputs,
    LogOutputs,
    RegisterModel,
    StartModel,
    StartRun,
)
from penstock.api.recording.identities import Identities
from penstock.artifacts.paths import join_path
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import Metric, Param, RunInfo, RunStatus, Tag, ViewType
from penstock.ground.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from penstock.store.open import Store

OpenArtifacts = Callable[[str], ArtifactRepository]
# At a server that makes its own ids these tags say what it made already, should the answer have been lost.
RUN_STAND_IN = "penstock.run_id"
MODEL_STAND_IN = "penstock.model_id"
_MODEL_FILE = "MLmodel"
_RUNS = "runs:/"


class Destination:
    """``store`` and its artifacts, for operations whose files lie in ``folder``."""

    def __init__(self, store: Store, *, artifacts: OpenArtifacts, identities: Identities, folder: Path) -> None:
        self._store = store
        self._artifacts = artifacts
        self._ids = identities
        self._folder = folder

    def log_batch(
        self, run_id: str, *, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[Tag] = ()
    ) -> None:
        points = [self._known_model(metric) for metric in metrics]
        self._store.tracking.log_batch(self._ids.of(run_id), metrics=points, params=params, tags=tags)

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        identity = self._ids.of(run_id)
        return self._store.tracking.update_run(identity, status=status, end_time_ms=end_time_ms, run_name=run_name)

    def _known_model(self, metric: Metric) -> Metric:
        if metric.model_id is None or metric.model_id not in self._ids:
            return metric
        theirs = self._ids.of(metric.model_id)
        return replace(metric, model_id=None if theirs.startswith(_RUNS) else theirs)

    @singledispatchmethod
    def catch_up(self, operation: Absent) -> None:
        """Does what the server was away for; doing it twice is the same as once."""
        raise TypeError(operation)

    @catch_up.register
    def _(self, operation: EnsureExperiment) -> None:
        found = self._store.tracking.find_experiment_by_name(operation.name)
        if found is not None:
            self._ids.note(operation.experiment_id, found.experiment_id)
            return
        self._ids.note(operation.experiment_id, self._store.tracking.create_experiment(operation.name))

    @catch_up.register
    def _(self, operation: StartRun) -> None:
        tracking, experiment_id = self._store.tracking, self._ids.of(operation.experiment_id)
        made = f"tags.`{RUN_STAND_IN}` = '{operation.run_id}'"
        found = tracking.search_runs([experiment_id], filter=made, view=ViewType.ALL, limit=1).items
        with suppress(AlreadyExists):  # a Penstock server that has it: its answer was lost
            run = found[0] if found else tracking.create_run(
                experiment_id,
                run_name=operation.run_name,
                start_time_ms=operation.start_time_ms,
                user_id=operation.user_id,
                tags=[*map(self._known_parent, operation.tags), Tag(key=RUN_STAND_IN, value=operation.run_id)],
                run_id=operation.run_id,
            )  # fmt: skip
            if run.info.run_id != operation.run_id:
                self._ids.note(operation.run_id, run.info.run_id)

    def _known_parent(self, tag: Tag) -> Tag:
        return replace(tag, value=self._ids.of(tag.value)) if tag.key == names.PARENT_RUN_ID else tag

    @catch_up.register
    def _(self, operation: LogInputs) -> None:
        models = [replace(each, model_id=self._ids.of(each.model_id)) for each in operation.models]
        self._store.tracking.log_inputs(self._ids.of(operation.run_id), datasets=operation.datasets, models=models)

    @catch_up.register
    def _(self, operation: LogOutputs) -> None:
        models = [replace(each, model_id=self._ids.of(each.model_id)) for each in operation.models]
        run_id = self._ids.of(operation.run_id)
        known = {each.model_id for each in self._store.tracking.get_run(run_id).model_outputs}  # mlflow refuses repeats
        models = [each for each in models if not each.model_id.startswith(_RUNS) and each.model_id not in known]
        if models:
            self._store.tracking.log_outputs(run_id, models=models)

    @catch_up.register
    def _(self, operation: LogFile) -> None:
        root, below = self._root(operation)
        local, path = self._folder / operation.file, join_path(below, operation.path)
        if PurePosixPath(path).name != _MODEL_FILE:
            self._artifacts(root).upload(local, path)
            return
        with tempfile.TemporaryDirectory(prefix="penstock-") as folder:  # it names its run and its model
            copy = Path(folder) / _MODEL_FILE
            copy.write_text(self._ids.rewritten(local.read_text(encoding="utf-8")), encoding="utf-8")
            self._artifacts(root).upload(copy, path)

    def _root(self, operation: LogFile) -> tuple[str, str]:
        """The URI of what the file belongs to, and the folder in it."""
        theirs = self._ids.of(operation.model_id or operation.run_id)
        if operation.model_id and not theirs.startswith(_RUNS):
            return self._store.tracking.get_logged_model(theirs).artifact_uri, ""
        run_id, _, below = theirs.removeprefix(_RUNS).partition("/")
        return self._store.tracking.get_run(run_id).info.artifact_uri, below

    @catch_up.register
    def _(self, operation: StartModel) -> None:
        tracking, run_id = self._store.tracking, self._ids.of(operation.run_id)
        experiment_id = self._ids.of(operation.experiment_id)
        try:
            made = f"tags.`{MODEL_STAND_IN}` = '{operation.model_id}'"
            found = tracking.search_logged_models([experiment_id], filter=made, limit=1).items
            model = found[0] if found else tracking.create_logged_model(
                experiment_id,
                name=operation.name,
                model_type=operation.model_type,
                source_run_id=run_id,
                params=operation.params,
                tags=[*operation.tags, Tag(key=MODEL_STAND_IN, value=operation.model_id)],
                model_id=operation.model_id,
            )  # fmt: skip
        except NotFound:  # a 2.x server knows no logged models: the files go among the run's artifacts
            self._ids.note(operation.model_id, f"{_RUNS}{run_id}/{operation.name}")
        else:
            if model.model_id != operation.model_id:
                self._ids.note(operation.model_id, model.model_id)

    @catch_up.register
    def _(self, operation: FinishModel) -> None:
        theirs = self._ids.of(operation.model_id)
        if not theirs.startswith(_RUNS):
            self._store.tracking.finish_logged_model(theirs, operation.status)

    @catch_up.register
    def _(self, operation: RegisterModel) -> None:
        registry, run_id = self._store.registry, self._ids.of(operation.run_id)
        source, model_id = self._source(operation)
        with suppress(AlreadyExists):  # then it is a further version
            registry.create_registered_model(operation.name)
        versions = registry.search_model_versions(filter=f"run_id = '{run_id}'").items
        if not any(each.name == operation.name and each.source == source for each in versions):
            registry.create_model_version(operation.name, source, run_id=run_id, model_id=model_id)

    def _source(self, operation: RegisterModel) -> tuple[str, str | None]:
        theirs = self._ids.of(operation.model_id)
        if not theirs.startswith(_RUNS):
            return f"models:/{theirs}", theirs
        run_id, _, below = theirs.removeprefix(_RUNS).partition("/")
        return f"{self._store.tracking.get_run(run_id).info.artifact_uri}/{below}", None
