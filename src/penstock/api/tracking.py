"""The fluent functions that choose a place and log to the open run: MLflow's names and argument order.

Logging is queued and sent in the background (see recording/); what the store refuses is raised when the run ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.api.active import active_only, client, ensure_experiment
from penstock.api.chosen import chosen
from penstock.api.connection import connect, default_uri, registry_uri
from penstock.api.data import dataset_input
from penstock.api.registering import ModelInfo, log_model_folder
from penstock.api.running import run_in_force
from penstock.api.values import metrics_of, params_of, tags_of
from penstock.api.views import ExperimentView
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.entities import ModelOutput
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings

__all__ = ["ModelInfo", "log_model_folder"]


def set_tracking_uri(uri: str | Path) -> None:
    """Chooses the tracking store for this process: sqlite:, postgresql:, or a server's http(s) address."""
    chosen.tracking_uri = str(uri) or None
    chosen.experiment_id = None


def get_tracking_uri() -> str:
    """The tracking store in force."""
    return default_uri()


def is_tracking_uri_set() -> bool:
    """Whether somebody chose a tracking store, here or in the environment or a project file."""
    return chosen.tracking_uri is not None or load_settings().origins["tracking_uri"] != "default"


def set_registry_uri(uri: str) -> None:
    """Chooses the model registry, where it is not the tracking store."""
    chosen.registry_uri = uri or None


def get_registry_uri() -> str:
    """The model registry in force."""
    return registry_uri() or default_uri()


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> ExperimentView:
    """The experiment that new runs now go to, made if nothing has the name. Raises NotFound for an unknown id."""
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidInput("An experiment is chosen by its name or by its id.", fix="Give one of the two.")
    if experiment_id is not None:
        experiment = active_only(client().get_experiment(experiment_id))
    else:
        experiment = ensure_experiment(str(experiment_name))
    chosen.experiment_id = experiment.experiment_id
    return experiment


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """``value``, recorded as text. A param keeps its first value; another one is refused when the run is flushed."""
    return client().log_param(run_in_force(), key, value, synchronous=synchronous)


def log_params(params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Records every param of the dictionary."""
    client().log_batch(run_in_force(run_id), params=params_of(params), synchronous=synchronous)


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Records one point (``timestamp`` in milliseconds, by default now) and returns at once."""
    log_metrics({key: value}, step, synchronous, run_id, timestamp, model_id, dataset)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Records one point of each metric and returns at once."""
    now_ms = timestamp if timestamp is not None else SYSTEM_CLOCK.now_ms()
    of_dataset = None if dataset is None else (dataset.name, dataset.digest)
    points = metrics_of(metrics, step=step, timestamp_ms=now_ms, model_id=model_id, dataset=of_dataset)
    client().log_batch(run_in_force(run_id), metrics=points, synchronous=synchronous)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Records the tag, replacing an earlier value."""
    client().set_tag(run_in_force(), key, value, synchronous=synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Records every tag of the dictionary."""
    client().log_batch(run_in_force(), tags=tags_of(tags), synchronous=synchronous)


def delete_tag(key: str) -> None:
    """Removes one tag of the open run. Raises NotFound."""
    client().delete_tag(run_in_force(), key)


def log_input(
    dataset: Any = None, context: str | None = None, tags: Mapping[str, str] | None = None, model: Any = None
) -> None:
    """Links a dataset to the open run as what it read, for example with the context 'training'."""
    inputs = [] if dataset is None else [dataset_input(dataset, context=context, tags=tags)]
    client().log_inputs(run_in_force(), datasets=inputs, models=[] if model is None else [model])


def log_inputs(
    datasets: Iterable[Any] | None = None,
    contexts: Iterable[str | None] | None = None,
    tags_list: Iterable[Mapping[str, str] | None] | None = None,
    models: Iterable[Any] | None = None,
) -> None:
    """Links several datasets; contexts and tags stand in the datasets' order."""
    given = list(datasets or ())
    inputs = [
        dataset_input(dataset, context=context, tags=tags)
        for dataset, context, tags in zip(
            given, contexts or [None] * len(given), tags_list or [None] * len(given), strict=True
        )
    ]
    client().log_inputs(run_in_force(), datasets=inputs, models=list(models or ()))


def log_outputs(models: Iterable[ModelOutput]) -> None:
    """Links logged models to the open run as what it made."""
    client().log_outputs(run_in_force(), list(models))


def flush() -> None:
    """Returns once everything logged so far is kept. Raises what the store refused."""
    connect().recorder.flush()


def flush_async_logging() -> None:
    """MLflow's name of ``flush``."""
    flush()
