"""The walk from any origin to any destination: resumable, since what is there already and the same is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from penstock.api.moving.counts import Counts, MoveReport, compare
from penstock.api.moving.destination import Destination
from penstock.api.moving.origin import LoggedModelRecord, Origin, RunRecord, VersionRecord
from penstock.api.moving.relocation import Relocation
from penstock.ground.entities import Experiment, LifecycleStage, LoggedModel, Metric, RegisteredModel, Run, RunStatus
from penstock.ground.progress import SILENT, Phase, Progress


def move(origin: Origin, destination: Destination, *, progress: Progress = SILENT) -> MoveReport:
    """What is there and what is here afterwards, counted. Run again after an interruption, it goes on.

    Raises Conflict when an experiment of the origin meets another one here under its id or name.
    """
    walk = _Walk(origin, destination)
    for experiment in origin.experiments():
        with progress.phase(f"Experiment {experiment.name}") as phase:
            walk.experiment(experiment, phase)
    with progress.phase("Model registry"):
        for model in origin.registered_models():
            walk.registered_model(model)
    with progress.phase("Comparing"):
        here = _count(destination.as_origin(), walk)
    return MoveReport(
        origin=origin.name,
        destination=destination.as_origin().name,
        lines=compare(walk.counts, here),
        unchanged_runs=walk.unchanged_runs,
        left_in_place=tuple(sorted(walk.left_in_place)),
        without_artifacts=tuple(walk.without_artifacts),
    )


class _Walk:
    """One move under way, and what it has seen."""

    def __init__(self, origin: Origin, destination: Destination) -> None:
        self._origin = origin
        self._destination = destination
        self.relocation = Relocation(destination.artifact_root)
        self.counts = Counts()
        self.experiment_ids: set[str] = set()
        self.model_names: set[str] = set()
        self.unchanged_runs = 0
        self.left_in_place: set[str] = set()
        self.without_artifacts: list[str] = []

    def experiment(self, experiment: Experiment, phase: Phase) -> None:
        self.experiment_ids.add(experiment.experiment_id)
        self._destination.put_experiment(self.relocation.experiment(experiment))
        add_experiment(self.counts, experiment)
        for model in self._origin.logged_models(experiment):
            self._logged_model(model)
        for run in self._origin.runs(experiment):
            phase.detail(run.run.info.run_name)
            self._run(run)

    def _logged_model(self, record: LoggedModelRecord) -> None:
        moved = self.relocation.logged_model(record.model)
        self._destination.put_logged_model(replace(record, model=moved))
        if not record.is_deleted:
            add_logged_model(self.counts, record.model)
            self._artifacts(record.artifacts_at, moved.artifact_uri, f"logged model {moved.model_id}")

    def _run(self, record: RunRecord) -> None:
        moved = self.relocation.run(record.run)
        add_run(self.counts, record.run)
        points = _Distinct(self._origin.points(record.run))
        if _same(self._destination.find_run(moved.info.run_id), moved):
            self.unchanged_runs += 1
            points.exhaust()
        else:
            self._destination.put_run(replace(record, run=moved), points)
        self.counts.points += points.count
        self._artifacts(record.artifacts_at, moved.info.artifact_uri, f"run {moved.info.run_id}")

    def registered_model(self, model: RegisteredModel) -> None:
        self.model_names.add(model.name)
        self._destination.put_registered_model(model)
        add_registered_model(self.counts, model)
        for record in self._origin.versions(model):
            moved = self.relocation.version(record.version)
            self._destination.put_version(VersionRecord(version=moved, is_deleted=record.is_deleted))
            self.counts.versions += not record.is_deleted

    def _artifacts(self, there: str, here: str, whose: str) -> None:
        """Copies each file that is not here with its size already."""
        if not self.relocation.is_here(here):
            self.left_in_place.add(here)
            return
        source, target = self._origin.artifacts(there), self._destination.artifacts(here)
        found = False
        for info in source.files():
            found = True
            self.counts.artifacts += 1
            self.counts.artifact_bytes += info.size_bytes or 0
            if target.find(info.path) != info:
                with source.open(info.path) as reading:
                    target.write(info.path, reading, size_bytes=info.size_bytes, sha256=reading.sha256)
        if not found:
            self.without_artifacts.append(whose)


class _Distinct:
    """The points that were not given before; ``count`` says how many there were."""

    def __init__(self, points: Iterator[Metric]) -> None:
        self._points = points
        self._seen: set[int] = set()

    @property
    def count(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Metric]:
        for point in self._points:
            identity = hash((point.key, point.timestamp_ms, point.step, str(point.value)))
            if identity not in self._seen:
                self._seen.add(identity)
                yield point

    def exhaust(self) -> None:
        for _ in self:
            pass


def add_experiment(counts: Counts, _experiment: Experiment) -> None:
    counts.experiments += 1


def add_run(counts: Counts, run: Run) -> None:
    counts.runs += 1
    counts.deleted_runs += run.info.lifecycle_stage is LifecycleStage.DELETED
    counts.params += len(run.data.params)
    counts.tags += len(run.data.tags)
    counts.datasets += len(run.dataset_inputs)


def add_logged_model(counts: Counts, _model: LoggedModel) -> None:
    counts.logged_models += 1


def add_registered_model(counts: Counts, model: RegisteredModel) -> None:
    counts.registered_models += 1
    counts.aliases += len(model.aliases)


def _count(origin: Origin, walk: _Walk) -> Counts:
    """What is here of the experiments and registered models that the walk moved."""
    counts = Counts()
    for experiment in origin.experiments():
        if experiment.experiment_id in walk.experiment_ids:
            counts.experiments += 1
            _count_experiment(origin, experiment, counts, walk)
    for model in origin.registered_models():
        if model.name in walk.model_names:
            add_registered_model(counts, model)
            counts.versions += sum(not record.is_deleted for record in origin.versions(model))
    return counts


def _count_experiment(origin: Origin, experiment: Experiment, counts: Counts, walk: _Walk) -> None:
    places = []
    for record in origin.runs(experiment):
        add_run(counts, record.run)
        counts.points += sum(1 for _ in origin.points(record.run))
        places.append(record.run.info.artifact_uri)
    for model in origin.logged_models(experiment):
        counts.logged_models += 1
        places.append(model.model.artifact_uri)
    for uri in places:
        if walk.relocation.is_here(uri):
            for info in origin.artifacts(uri).files():
                counts.artifacts += 1
                counts.artifact_bytes += info.size_bytes or 0


def _same(here: Run | None, there: Run) -> bool:
    """Whether a finished run is here already, with all it says of itself."""
    if here is None or there.info.status is RunStatus.RUNNING:
        return False
    return here.info == there.info and _data(here) == _data(there)


def _data(run: Run) -> object:
    """The run's data and links in one order; NaN as text, since it equals nothing."""
    metrics = [(each.key, str(each.value), each.timestamp_ms, each.step) for each in run.data.metrics]
    params = [(each.key, each.value) for each in run.data.params]
    tags = [(each.key, each.value) for each in run.data.tags]
    datasets = [(each.dataset.name, each.dataset.digest) for each in run.dataset_inputs]
    inputs = [each.model_id for each in run.model_inputs]
    outputs = [(each.model_id, each.step) for each in run.model_outputs]
    return [sorted(each) for each in (metrics, params, tags, datasets, inputs, outputs)]
