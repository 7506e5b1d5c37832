"""A destination that is an ``mlruns`` folder: what stock MLflow opens with no server and no database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from penstock.api.moving.mlruns import META, MODELS, TRASH, MlrunsOrigin
from penstock.api.moving.origin import LoggedModelRecord, Origin, RunRecord, VersionRecord
from penstock.api.moving.points import MODEL_STATUS_NUMBERS, RUN_STATUS_NUMBERS
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import (
    DatasetInput,
    Experiment,
    LifecycleStage,
    LoggedModel,
    Metric,
    Param,
    RegisteredModel,
    Run,
    Tag,
)
from penstock.ground.errors import InvalidInput
from penstock.ground.files import ensure_directory, inside, remove_tree, write_atomically

_LOCAL_SOURCE = 4


class MlrunsDestination:
    """The folder ``root``. Every meta file is written last, so that what has one is whole."""

    def __init__(self, root: Path) -> None:
        self._root = ensure_directory(root).resolve()
        self._homes: dict[str, Path] = {}
        ensure_directory(self._root / TRASH)

    @property
    def artifact_root(self) -> str:
        return self._root.as_uri()

    def put_experiment(self, experiment: Experiment) -> None:
        deleted = experiment.lifecycle_stage is LifecycleStage.DELETED
        home = (self._root / TRASH if deleted else self._root) / experiment.experiment_id
        self._homes[experiment.experiment_id] = home
        _write_texts(home / "tags", experiment.tags)
        meta = {
            "artifact_location": experiment.artifact_location,
            "creation_time": experiment.creation_time_ms,
            "experiment_id": experiment.experiment_id,
            "last_update_time": experiment.last_update_time_ms,
            "lifecycle_stage": experiment.lifecycle_stage.value,
            "name": experiment.name,
        }
        _write_meta(home, meta)

    def find_run(self, run_id: str) -> Run | None:
        for home in self._homes.values():
            if (home / run_id / META).is_file():
                return MlrunsOrigin(self._root).read_run(home / run_id, home).run
        return None

    def put_run(self, record: RunRecord, points: Iterable[Metric]) -> None:
        run, info = record.run, record.run.info
        home = self._homes[info.experiment_id]
        folder = home / info.run_id
        (folder / META).unlink(missing_ok=True)
        _write_texts(folder / "params", run.data.params)
        _write_texts(folder / "tags", run.data.tags)
        _write_points(folder / "metrics", points)
        for dataset in run.dataset_inputs:
            _write_dataset(dataset, folder / "inputs", home / "datasets")
        for model in run.model_inputs:
            _write_link(folder / "inputs" / model.model_id, "RUN_INPUT", "MODEL_INPUT", model.model_id, 0)
        for output in run.model_outputs:
            _write_link(
                folder / "outputs" / output.model_id, "RUN_OUTPUT", "MODEL_OUTPUT", output.model_id, output.step
            )
        for name in ("artifacts", "inputs", "outputs"):
            ensure_directory(folder / name)
        _write_meta(folder, _run_meta(run, record.deleted_time_ms))

    def put_logged_model(self, record: LoggedModelRecord) -> None:
        if record.is_deleted:
            return
        model = record.model
        folder = self._homes[model.experiment_id] / MODELS / model.model_id
        _write_texts(folder / "tags", model.tags)
        _write_texts(folder / "params", model.params)
        _write_points(folder / "metrics", model.metrics)
        _write_meta(folder, _logged_model_meta(model))

    def put_registered_model(self, model: RegisteredModel) -> None:
        folder = inside(self._root / MODELS, model.name)
        _write_texts(folder / "tags", model.tags)
        _write_texts(folder / "aliases", [Tag(key=each.alias, value=str(each.version)) for each in model.aliases])
        meta = {
            "aliases": {each.alias: str(each.version) for each in model.aliases},
            "creation_timestamp": model.creation_time_ms,
            "description": model.description or None,
            "last_updated_timestamp": model.last_update_time_ms,
            "name": model.name,
        }
        _write_meta(folder, meta)

    def put_version(self, record: VersionRecord) -> None:
        version = record.version
        folder = inside(self._root / MODELS, version.name) / f"version-{version.version}"
        if record.is_deleted:
            return
        _write_texts(folder / "tags", version.tags)
        meta = {
            "creation_timestamp": version.creation_time_ms,
            "current_stage": version.current_stage,
            "description": version.description or None,
            "last_updated_timestamp": version.last_update_time_ms,
            "model_id": version.model_id,
            "name": version.name,
            "run_id": version.run_id,
            "run_link": version.run_link,
            "source": version.source,
            "status": version.status,
            "status_message": version.status_message,
            "storage_location": None,
            "user_id": version.user_id,
            "version": version.version,
        }
        _write_meta(folder, meta)

    def artifacts(self, uri: str) -> ArtifactRepository:
        return open_artifacts(uri)

    def as_origin(self) -> Origin:
        return MlrunsOrigin(self._root)

    def close(self) -> None: ...


def _run_meta(run: Run, deleted_time_ms: int | None) -> dict[str, Any]:
    info = run.info
    meta: dict[str, Any] = {
        "artifact_uri": info.artifact_uri,
        "end_time": info.end_time_ms,
        "entry_point_name": "",
        "experiment_id": info.experiment_id,
        "lifecycle_stage": info.lifecycle_stage.value,
        "run_id": info.run_id,
        "run_name": info.run_name,
        "run_uuid": info.run_id,
        "source_name": "",
        "source_type": _LOCAL_SOURCE,
        "source_version": "",
        "start_time": info.start_time_ms,
        "status": RUN_STATUS_NUMBERS[info.status],
        "tags": [],
        "user_id": info.user_id,
    }
    return meta if deleted_time_ms is None else {**meta, "deleted_time": deleted_time_ms}


def _logged_model_meta(model: LoggedModel) -> dict[str, Any]:
    return {
        "artifact_location": model.artifact_uri,
        "creation_timestamp": model.creation_time_ms,
        "experiment_id": model.experiment_id,
        "last_updated_timestamp": model.last_update_time_ms,
        "model_id": model.model_id,
        "model_type": model.model_type,
        "name": model.name,
        "source_run_id": model.source_run_id,
        "status": MODEL_STATUS_NUMBERS[model.status],
        "status_message": model.status_message,
    }


def _write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    write_atomically(folder / META, yaml.safe_dump(dict(meta), allow_unicode=True).encode())


def _write_texts(folder: Path, pairs: Sequence[Tag | Param]) -> None:
    """One file a pair, in place of what was there. An empty folder stays: MLflow takes a run without it for none."""
    remove_tree(folder)
    ensure_directory(folder)
    for pair in pairs:
        _write_new(folder, pair.key, pair.value.encode())


def _write_points(folder: Path, points: Iterable[Metric]) -> None:
    """One file a metric. Points come grouped by key; a key that comes again is appended to its file."""
    remove_tree(folder)
    ensure_directory(folder)
    key, lines = "", [""]
    for point in points:
        if point.key != key or len(lines) > 10_000:
            _append(folder, key, lines)
            key, lines = point.key, []
        lines.append(_line(point))
    _append(folder, key, lines)


def _line(point: Metric) -> str:
    words = [str(point.timestamp_ms), repr(point.value), str(point.step)]
    if point.model_id and point.run_id:
        words += [point.run_id, *([point.dataset_name, point.dataset_digest or ""] if point.dataset_name else [])]
    return " ".join(words) + "\n"


def _append(folder: Path, key: str, lines: Sequence[str]) -> None:
    if key:
        path = _path_of(folder, key)
        ensure_directory(path.parent)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(lines)


def _write_new(folder: Path, key: str, content: bytes) -> None:
    path = _path_of(folder, key)
    ensure_directory(path.parent)
    path.write_bytes(content)


def _path_of(folder: Path, key: str) -> Path:
    path = inside(folder, key)
    if path.is_dir() or any(parent.is_file() for parent in path.parents):
        raise InvalidInput(
            f"The key {key!r} is also the beginning of another key, which a folder cannot hold.",
            fix="Export without that run, or rename one of the two.",
        )
    return path


def _write_dataset(given: DatasetInput, inputs: Path, datasets: Path) -> None:
    dataset = given.dataset
    identity = hashlib.sha256(f"{dataset.name}\n{dataset.digest}".encode()).hexdigest()[:32]
    meta = {name: getattr(dataset, name) for name in ("name", "digest", "source_type", "source", "schema", "profile")}
    _write_meta(datasets / identity, meta)
    link = {
        "destination_id": inputs.parent.name,
        "destination_type": "RUN",
        "source_id": identity,
        "source_type": "DATASET",
        "tags": {tag.key: tag.value for tag in given.tags},
    }
    _write_meta(inputs / identity, link)


def _write_link(folder: Path, source: str, destination: str, model_id: str, step: int) -> None:
    link = {
        "destination_id": model_id,
        "destination_type": destination,
        "source_id": model_id,
        "source_type": source,
        "step": step,
        "tags": {},
    }
    _write_meta(folder, link)
