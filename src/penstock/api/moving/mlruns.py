"""An origin that is an ``mlruns`` folder: MLflow's file store, of 1.x to 3.x."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from penstock.api.moving.origin import LoggedModelRecord, RunRecord, VersionRecord
from penstock.api.moving.points import RUN_STATUSES, latest_of, logged_model_status
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import (
    Alias,
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    LoggedModel,
    Metric,
    ModelInput,
    ModelOutput,
    ModelVersion,
    Param,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    Tag,
)
from penstock.ground.errors import InvalidInput, NotFound

META = "meta.yaml"
TRASH = ".trash"
MODELS = "models"


class MlrunsOrigin:
    """The folder ``root``, with its ``.trash`` and its registry in ``models``."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise NotFound(f"There is no folder {root}.", fix="Give the path of an mlruns folder.")
        self._root = root.resolve()

    @property
    def name(self) -> str:
        return str(self._root)

    def experiments(self) -> Iterator[Experiment]:
        for folder in self._experiment_folders():
            meta = _meta(folder)
            created = int(meta.get("creation_time") or 0)
            yield Experiment(
                experiment_id=str(meta["experiment_id"]),
                name=str(meta["name"]),
                artifact_location=str(meta.get("artifact_location") or folder),
                lifecycle_stage=LifecycleStage(meta.get("lifecycle_stage") or "active"),
                creation_time_ms=created,
                last_update_time_ms=int(meta.get("last_update_time") or created),
                tags=_tags(folder / "tags"),
            )

    def _experiment_folders(self) -> list[Path]:
        parents = (self._root, self._root / TRASH)
        found = [folder for parent in parents for folder in _folders(parent) if folder.name not in (TRASH, MODELS)]
        return sorted((folder for folder in found if _has_meta(folder)), key=lambda folder: int(folder.name))

    def _folder_of(self, experiment: Experiment) -> Path:
        live = self._root / experiment.experiment_id
        return live if live.is_dir() else self._root / TRASH / experiment.experiment_id

    def runs(self, experiment: Experiment) -> Iterator[RunRecord]:
        home = self._folder_of(experiment)
        for folder in _folders(home):
            if _has_meta(folder) and folder.name not in ("tags", "datasets", MODELS, "traces"):
                yield self.read_run(folder, home)

    def read_run(self, folder: Path, home: Path) -> RunRecord:
        """The run that lies in ``folder``, in its experiment's folder ``home``."""
        meta = _meta(folder)
        tags = _tags(folder / "tags")
        named = next((tag.value for tag in tags if tag.key == "mlflow.runName"), "")
        info = RunInfo(
            run_id=str(meta.get("run_id") or meta["run_uuid"]),
            run_name=str(meta.get("run_name") or meta.get("name") or named),
            experiment_id=str(meta["experiment_id"]),
            user_id=str(meta.get("user_id") or ""),
            status=RUN_STATUSES[int(meta.get("status") or 1)],
            start_time_ms=_integer(meta.get("start_time")),
            end_time_ms=_integer(meta.get("end_time")),
            artifact_uri=str(meta.get("artifact_uri") or folder / "artifacts"),
            lifecycle_stage=LifecycleStage(meta.get("lifecycle_stage") or "active"),
        )
        run = Run(
            info=info,
            data=RunData(
                metrics=latest_of(_points_below(folder / "metrics", info.run_id)),
                params=tuple(Param(key=key, value=value) for key, value in _texts(folder / "params")),
                tags=tags,
            ),
            dataset_inputs=tuple(_dataset_inputs(folder / "inputs", home / "datasets")),
            model_inputs=tuple(ModelInput(model_id=str(link["source_id"])) for link in _links(folder, "MODEL_INPUT")),
            model_outputs=tuple(
                ModelOutput(model_id=str(link["destination_id"]), step=int(link.get("step") or 0))
                for link in _links(folder, "MODEL_OUTPUT")
            ),
        )
        return RunRecord(
            run=run,
            deleted_time_ms=_integer(meta.get("deleted_time")),
            artifacts_at=_really_at(folder / "artifacts", info.artifact_uri),
        )

    def points(self, run: Run) -> Iterator[Metric]:
        for parent in (self._root, self._root / TRASH):
            folder = parent / run.info.experiment_id / run.info.run_id / "metrics"
            yield from _points_below(folder, run.info.run_id)

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModelRecord]:
        for folder in _folders(self._folder_of(experiment) / MODELS):
            if not _has_meta(folder):
                continue
            meta = _meta(folder)
            model = LoggedModel(
                model_id=str(meta["model_id"]),
                experiment_id=str(meta["experiment_id"]),
                name=str(meta["name"]),
                artifact_uri=str(meta["artifact_location"]),
                creation_time_ms=int(meta["creation_timestamp"]),
                last_update_time_ms=int(meta["last_updated_timestamp"]),
                model_type=meta.get("model_type"),
                source_run_id=meta.get("source_run_id"),
                status=logged_model_status(meta["status"]),
                status_message=meta.get("status_message"),
                tags=_tags(folder / "tags"),
                params=tuple(Param(key=key, value=value) for key, value in _texts(folder / "params")),
                metrics=tuple(_points_below(folder / "metrics", None)),
            )
            yield LoggedModelRecord(
                model=model,
                is_deleted=meta.get("lifecycle_stage") == "deleted",
                artifacts_at=_really_at(folder / "artifacts", model.artifact_uri),
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        for folder in _folders(self._root / MODELS):
            if not _has_meta(folder):
                continue
            meta = _meta(folder)
            aliases = dict(_texts(folder / "aliases"))
            yield RegisteredModel(
                name=str(meta["name"]),
                creation_time_ms=int(meta["creation_timestamp"]),
                last_update_time_ms=int(meta["last_updated_timestamp"]),
                description=str(meta.get("description") or ""),
                aliases=tuple(Alias(alias=alias, version=int(number)) for alias, number in aliases.items()),
                tags=_tags(folder / "tags"),
            )

    def versions(self, model: RegisteredModel) -> Iterator[VersionRecord]:
        folders = [folder for folder in _folders(self._root / MODELS / model.name) if _has_meta(folder)]
        for folder in sorted(folders, key=lambda each: int(each.name.rpartition("-")[2])):
            meta = _meta(folder)
            version = ModelVersion(
                name=str(meta["name"]),
                version=int(meta["version"]),
                creation_time_ms=int(meta["creation_timestamp"]),
                last_update_time_ms=int(meta["last_updated_timestamp"]),
                source=str(meta.get("source") or ""),
                run_id=meta.get("run_id") or None,
                run_link=meta.get("run_link") or None,
                model_id=meta.get("model_id") or None,
                user_id=meta.get("user_id"),
                description=str(meta.get("description") or ""),
                current_stage=str(meta.get("current_stage") or "None"),
                status=str(meta.get("status") or "READY"),
                status_message=meta.get("status_message") or None,
                tags=_tags(folder / "tags"),
            )
            yield VersionRecord(version=version, is_deleted=version.current_stage == "Deleted_Internal")

    def artifacts(self, uri: str) -> ArtifactRepository:
        return open_artifacts(uri)

    def close(self) -> None: ...


def _folders(parent: Path) -> list[Path]:
    return sorted(entry for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []


def _has_meta(folder: Path) -> bool:
    return (folder / META).is_file()


class _Meta(dict[str, Any]):
    """A meta file's fields."""

    def __init__(self, path: Path, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self._path = path

    def __missing__(self, field: str) -> Any:
        raise InvalidInput(f"{self._path} lacks {field!r}.", fix="Repair or remove that folder.")


def _meta(folder: Path) -> _Meta:
    try:
        document = yaml.safe_load((folder / META).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{folder / META} cannot be read: {error}.", fix="Repair or remove that folder.") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{folder / META} is empty.", fix="Repair or remove that folder.")
    return _Meta(folder / META, document)


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file below ``folder``: its path there is the key, its content the value."""
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def _tags(folder: Path) -> tuple[Tag, ...]:
    return tuple(Tag(key=key, value=value) for key, value in _texts(folder))


def _points_below(folder: Path, run_id: str | None) -> Iterator[Metric]:
    """The points of each file: ``timestamp value step``; before 1.0 without step, for a model with run and dataset."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = path.relative_to(folder).as_posix()
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _read_point(path, number, key, line, run_id)


def _read_point(path: Path, number: int, key: str, line: str, run_id: str | None) -> Metric:
    try:
        return _point(key, line.split(), run_id)
    except (IndexError, ValueError) as error:
        raise InvalidInput(
            f"Line {number} of {path} is no metric point: {line.strip()[:80]!r}.", fix="Repair or remove that line."
        ) from error


def _point(key: str, words: list[str], run_id: str | None) -> Metric:
    name, digest = (words[4], words[5]) if len(words) >= 6 else (None, None)
    return Metric(
        key=key,
        value=float(words[1]),
        timestamp_ms=int(words[0]),
        step=int(words[2]) if len(words) > 2 else 0,
        run_id=run_id or (words[3] if len(words) > 3 else None),
        dataset_name=name,
        dataset_digest=digest,
    )


def _links(folder: Path, kind: str) -> Iterator[Mapping[str, Any]]:
    for side in ("inputs", "outputs"):
        for link in _folders(folder / side):
            if _has_meta(link):
                meta = _meta(link)
                if kind in (meta.get("source_type"), meta.get("destination_type")):
                    yield meta


def _dataset_inputs(inputs: Path, datasets: Path) -> Iterator[DatasetInput]:
    for link in _folders(inputs):
        meta = _meta(link) if _has_meta(link) else {}
        if meta.get("source_type") != "DATASET":
            continue
        described = _meta(datasets / str(meta["source_id"]))
        dataset = Dataset(
            name=str(described["name"]),
            digest=str(described["digest"]),
            source_type=str(described["source_type"]),
            source=str(described["source"]),
            schema=described.get("schema"),
            profile=described.get("profile"),
        )
        tags = tuple(Tag(key=str(key), value=str(value)) for key, value in (meta.get("tags") or {}).items())
        yield DatasetInput(dataset=dataset, tags=tags)


def _really_at(beside: Path, uri: str) -> str:
    """The artifacts' folder beside the meta file, which a moved mlruns folder still has; else the URI it names."""
    return str(beside) if beside.is_dir() else uri


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)
