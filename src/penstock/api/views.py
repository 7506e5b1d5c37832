"""Runs, experiments and models in the shape that MLflow's notebooks read: dictionaries, ``info`` and ``data``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from penstock.ground.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LoggedModel,
    Metric,
    ModelInput,
    ModelOutput,
    ModelVersion,
    Param,
    RegisteredModel,
    Run,
    Tag,
)


class View(Struct, frozen=True, kw_only=True, dict=True):
    """A value that reads like MLflow's own of the same name."""

    def __iter__(self) -> Any:
        """Pairs of field and value, as MLflow's entities give."""
        return ((name, getattr(self, name)) for name in self.__struct_fields__)

    def to_dictionary(self) -> dict[str, Any]:
        """The value and all below it as plain dictionaries and lists."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class RunInfoView(View, frozen=True, kw_only=True):
    run_id: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int | None
    end_time: int | None
    lifecycle_stage: str
    artifact_uri: str

    @property
    def run_uuid(self) -> str:
        return self.run_id


class RunDataView(View, frozen=True, kw_only=True):
    """The latest value of each metric, and the params and tags."""

    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


class RunInputsView(View, frozen=True, kw_only=True):
    dataset_inputs: tuple[DatasetInputView, ...] = ()
    model_inputs: tuple[ModelInput, ...] = ()


class DatasetInputView(View, frozen=True, kw_only=True):
    dataset: Dataset
    tags: tuple[Tag, ...] = ()


class RunOutputsView(View, frozen=True, kw_only=True):
    model_outputs: tuple[ModelOutput, ...] = ()


class RunView(View, frozen=True, kw_only=True):
    info: RunInfoView
    data: RunDataView
    inputs: RunInputsView = RunInputsView()
    outputs: RunOutputsView = RunOutputsView()


class ExperimentView(View, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    creation_time: int
    last_update_time: int
    tags: dict[str, str]


class MetricView(View, frozen=True, kw_only=True):
    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class LoggedModelView(View, frozen=True, kw_only=True):
    """``model_uri`` is what loads it: ``models:/<model_id>``."""

    model_id: str
    experiment_id: str
    name: str
    artifact_location: str
    creation_timestamp: int
    last_updated_timestamp: int
    model_type: str | None
    source_run_id: str | None
    status: str
    status_message: str | None
    tags: dict[str, str]
    params: dict[str, str]
    metrics: tuple[MetricView, ...]

    @property
    def model_uri(self) -> str:
        return f"models:/{self.model_id}"


class ModelVersionView(View, frozen=True, kw_only=True):
    """A version, whose number MLflow gives as text in its older clients and Penstock always as text."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str
    user_id: str | None
    current_stage: str
    source: str
    run_id: str | None
    run_link: str | None
    model_id: str | None
    status: str
    status_message: str | None
    tags: dict[str, str]
    aliases: list[str]


class RegisteredModelView(View, frozen=True, kw_only=True):
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str
    latest_versions: list[ModelVersionView]
    tags: dict[str, str]
    aliases: dict[str, str]


def _pairs(items: Iterable[Tag | Param]) -> dict[str, str]:
    return {item.key: item.value for item in items}


def view_run(run: Run) -> RunView:
    """``run`` as MLflow's Run."""
    info = run.info
    return RunView(
        info=RunInfoView(
            run_id=info.run_id,
            run_name=info.run_name,
            experiment_id=info.experiment_id,
            user_id=info.user_id,
            status=info.status.value,
            start_time=info.start_time_ms,
            end_time=info.end_time_ms,
            lifecycle_stage=info.lifecycle_stage.value,
            artifact_uri=info.artifact_uri,
        ),
        data=RunDataView(
            metrics={metric.key: metric.value for metric in run.data.metrics},
            params=_pairs(run.data.params),
            tags=_pairs(run.data.tags),
        ),
        inputs=RunInputsView(
            dataset_inputs=tuple(_view_dataset_input(each) for each in run.dataset_inputs),
            model_inputs=run.model_inputs,
        ),
        outputs=RunOutputsView(model_outputs=run.model_outputs),
    )


def _view_dataset_input(given: DatasetInput) -> DatasetInputView:
    return DatasetInputView(dataset=given.dataset, tags=given.tags)


def view_experiment(experiment: Experiment) -> ExperimentView:
    """``experiment`` as MLflow's Experiment."""
    return ExperimentView(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=experiment.lifecycle_stage.value,
        creation_time=experiment.creation_time_ms,
        last_update_time=experiment.last_update_time_ms,
        tags=_pairs(experiment.tags),
    )


def view_metric(metric: Metric) -> MetricView:
    """``metric`` as MLflow's Metric."""
    return MetricView(
        key=metric.key,
        value=metric.value,
        timestamp=metric.timestamp_ms,
        step=metric.step,
        model_id=metric.model_id,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
        run_id=metric.run_id,
    )


def view_logged_model(model: LoggedModel) -> LoggedModelView:
    """``model`` as MLflow's LoggedModel."""
    return LoggedModelView(
        model_id=model.model_id,
        experiment_id=model.experiment_id,
        name=model.name,
        artifact_location=model.artifact_uri,
        creation_timestamp=model.creation_time_ms,
        last_updated_timestamp=model.last_update_time_ms,
        model_type=model.model_type,
        source_run_id=model.source_run_id,
        status=model.status.value.removeprefix("LOGGED_MODEL_"),
        status_message=model.status_message,
        tags=_pairs(model.tags),
        params=_pairs(model.params),
        metrics=tuple(view_metric(metric) for metric in model.metrics),
    )


def view_model_version(version: ModelVersion) -> ModelVersionView:
    """``version`` as MLflow's ModelVersion."""
    return ModelVersionView(
        name=version.name,
        version=str(version.version),
        creation_timestamp=version.creation_time_ms,
        last_updated_timestamp=version.last_update_time_ms,
        description=version.description,
        user_id=version.user_id,
        current_stage=version.current_stage,
        source=version.source,
        run_id=version.run_id,
        run_link=version.run_link,
        model_id=version.model_id,
        status=version.status,
        status_message=version.status_message,
        tags=_pairs(version.tags),
        aliases=list(version.aliases),
    )


def view_registered_model(model: RegisteredModel) -> RegisteredModelView:
    """``model`` as MLflow's RegisteredModel."""
    return RegisteredModelView(
        name=model.name,
        creation_timestamp=model.creation_time_ms,
        last_updated_timestamp=model.last_update_time_ms,
        description=model.description,
        latest_versions=[view_model_version(version) for version in model.latest_versions],
        tags=_pairs(model.tags),
        aliases={alias.alias: str(alias.version) for alias in model.aliases},
    )
