"""The values that tracking and the model registry are about: frozen, free of any wire's spelling."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some of a longer list. ``next_page_token`` asks for what follows, and is None on the last page."""

    items: tuple[T, ...]
    next_page_token: str | None = None


class RunStatus(StrEnum):
    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class LifecycleStage(StrEnum):
    ACTIVE = "active"
    DELETED = "deleted"


class ViewType(StrEnum):
    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class LoggedModelStatus(StrEnum):
    PENDING = "LOGGED_MODEL_PENDING"
    READY = "LOGGED_MODEL_READY"
    UPLOAD_FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


class Tag(Struct, frozen=True, kw_only=True):
    key: str
    value: str


class Param(Struct, frozen=True, kw_only=True):
    key: str
    value: str


class Metric(Struct, frozen=True, kw_only=True):
    """One point of a metric. ``value`` may be NaN or infinite; ``timestamp_ms`` is since the Unix epoch."""

    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class Experiment(Struct, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    creation_time_ms: int
    last_update_time_ms: int
    tags: tuple[Tag, ...] = ()


class RunInfo(Struct, frozen=True, kw_only=True):
    run_id: str
    run_name: str
    experiment_id: str
    user_id: str = ""
    status: RunStatus = RunStatus.RUNNING
    start_time_ms: int | None = None
    end_time_ms: int | None = None
    artifact_uri: str
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE


class RunData(Struct, frozen=True, kw_only=True):
    """``metrics`` holds the latest point of each key: the one with the greatest (step, timestamp, value)."""

    metrics: tuple[Metric, ...] = ()
    params: tuple[Param, ...] = ()
    tags: tuple[Tag, ...] = ()


class Dataset(Struct, frozen=True, kw_only=True):
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Struct, frozen=True, kw_only=True):
    dataset: Dataset
    tags: tuple[Tag, ...] = ()


class ModelInput(Struct, frozen=True, kw_only=True):
    model_id: str


class ModelOutput(Struct, frozen=True, kw_only=True):
    model_id: str
    step: int = 0


class Run(Struct, frozen=True, kw_only=True):
    info: RunInfo
    data: RunData = RunData()
    dataset_inputs: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[ModelInput, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()


class LoggedModel(Struct, frozen=True, kw_only=True):
    model_id: str
    experiment_id: str
    name: str
    artifact_uri: str
    creation_time_ms: int
    last_update_time_ms: int
    model_type: str | None = None
    source_run_id: str | None = None
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    status_message: str | None = None
    tags: tuple[Tag, ...] = ()
    params: tuple[Param, ...] = ()
    metrics: tuple[Metric, ...] = ()


class Alias(Struct, frozen=True, kw_only=True):
    alias: str
    version: int


class ModelVersion(Struct, frozen=True, kw_only=True):
    name: str
    version: int
    creation_time_ms: int
    last_update_time_ms: int
    source: str
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    user_id: str | None = None
    description: str = ""
    current_stage: str = "None"
    status: str = "READY"
    status_message: str | None = None
    tags: tuple[Tag, ...] = ()
    aliases: tuple[str, ...] = ()


class RegisteredModel(Struct, frozen=True, kw_only=True):
    name: str
    creation_time_ms: int
    last_update_time_ms: int
    description: str = ""
    latest_versions: tuple[ModelVersion, ...] = ()
    aliases: tuple[Alias, ...] = ()
    tags: tuple[Tag, ...] = ()


class RegistryChange(Struct, frozen=True, kw_only=True):
    """One line of a registered model's history: an alias or a stage that moved."""

    name: str
    version: int | None
    kind: str
    alias: str | None = None
    before: str | None = None
    after: str | None = None
    user_id: str | None = None
    timestamp_ms: int


class FileInfo(Struct, frozen=True, kw_only=True):
    """An artifact: ``path`` is relative to the artifact root, with '/' between its parts."""

    path: str
    is_dir: bool
    size_bytes: int | None = None
