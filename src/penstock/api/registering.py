"""The fluent functions for models: logging a folder as a model, and registering it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.api.active import client, current_experiment_id, last_run_id, open_runs
from penstock.api.resolve import find_model
from penstock.api.running import run_in_force
from penstock.api.views import LoggedModelView, ModelVersionView, RegisteredModelView, RunView
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.entities import LoggedModelStatus, ModelOutput
from penstock.ground.errors import AlreadyExists, NotFound, Unavailable
from penstock.ground.names import new_model_id

RUN_ARTIFACT = "RUN_ARTIFACT"


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model as it was logged: ``model_uri`` loads it, ``registered_version`` is its number if it was registered."""

    model_id: str
    model_uri: str
    artifact_uri: str
    run_id: str
    name: str
    registered_version: int | None = None


def log_model_folder(
    folder: Path,
    name: str,
    *,
    registered_model_name: str | None = None,
    model_type: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    run_id: str | None = None,
    step: int = 0,
) -> ModelInfo:
    """The model now logged to the open run (one is started if there is none) from the files of ``folder``.

    A failed upload leaves the logged model as UPLOAD_FAILED and raises.
    """
    model = start_model(name, model_type=model_type, params=params, tags=tags, run_id=run_id)
    return finish_model(model, folder, registered_model_name=registered_model_name, step=step)


def start_model(
    name: str,
    *,
    model_type: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    run_id: str | None = None,
) -> LoggedModelView:
    """A new logged model of the run, PENDING, whose id a folder can be written with before ``finish_model``."""
    run = _run(run_in_force(run_id))
    try:
        return client().create_logged_model(
            run.info.experiment_id, name, run.info.run_id, tags=tags, params=params, model_type=model_type
        )
    except NotFound:
        return _run_artifact(run, name, model_type)


def _run(run_id: str) -> RunView:
    """The run; of an open one what is known here, for the server may be away."""
    return next((run for run in open_runs() if run.info.run_id == run_id), None) or client().get_run(run_id)


def _run_artifact(run: RunView, name: str, model_type: str | None) -> LoggedModelView:
    """What stands in for a logged model at a 2.x server, which knows none: a folder of the run's artifacts."""
    now_ms = SYSTEM_CLOCK.now_ms()
    return LoggedModelView(
        model_id=new_model_id(),
        experiment_id=run.info.experiment_id,
        name=name,
        artifact_location=f"{run.info.artifact_uri}/{name}",
        creation_timestamp=now_ms,
        last_updated_timestamp=now_ms,
        model_type=model_type,
        source_run_id=run.info.run_id,
        status=RUN_ARTIFACT,
        status_message=None,
        tags={},
        params={},
        metrics=(),
    )


def finish_model(
    model: LoggedModelView, folder: Path, *, registered_model_name: str | None = None, step: int = 0
) -> ModelInfo:
    """The logged model with its files, READY, linked to its run, and registered if a name is given."""
    run_id = str(model.source_run_id)
    if model.status == RUN_ARTIFACT:
        client().log_artifacts(run_id, folder, model.name)
        uri = f"runs:/{run_id}/{model.name}"
    else:
        _upload(model, folder)
        client().log_outputs(run_id, [ModelOutput(model_id=model.model_id, step=step)])
        client().finish_later(model.model_id, LoggedModelStatus.READY)
        uri = model.model_uri
    version = _registered(model, uri, registered_model_name) if registered_model_name else None
    return ModelInfo(
        model_id=model.model_id,
        model_uri=uri,
        artifact_uri=model.artifact_location,
        run_id=run_id,
        name=model.name,
        registered_version=int(version.version) if version else None,
    )


def _registered(model: LoggedModelView, uri: str, name: str) -> ModelVersionView | None:
    """The new version, or None while the server is away: then it is made later, and its number is not known yet."""
    try:
        return register_model(uri, name)
    except Unavailable:
        client().register_later(name, model.model_id, str(model.source_run_id))
        return None


def _upload(model: LoggedModelView, folder: Path) -> None:
    try:
        client().log_model_artifacts(model.model_id, folder)
    except BaseException:
        client().finish_later(model.model_id, LoggedModelStatus.UPLOAD_FAILED)
        raise


def register_model(
    model_uri: str, name: str, await_registration_for: int = 300, *, tags: dict[str, Any] | None = None
) -> ModelVersionView:
    """The new version of the registered model ``name``, which is made if it is not there. Raises NotFound."""
    found = find_model(model_uri)
    with suppress(AlreadyExists):  # then it is a further version
        client().create_registered_model(name)
    source = f"models:/{found.model_id}" if found.model_id else found.artifact_uri
    return client().create_model_version(name, source, found.run_id, tags, model_id=found.model_id)


def set_model_version_tag(
    name: str, version: str | int | None = None, key: str | None = None, value: Any = None
) -> None:
    """Sets one tag of a version."""
    client().set_model_version_tag(name, version, key, value)


def set_registered_model_alias(name: str, alias: str, version: str | int) -> None:
    """Points the alias at the version. Raises NotFound, InvalidInput."""
    client().set_registered_model_alias(name, alias, version)


def search_registered_models(
    max_results: int | None = None, filter_string: str | None = None, order_by: list[str] | None = None
) -> list[RegisteredModelView]:
    """The registered models that match, by name unless ``order_by`` says otherwise."""
    return list(client().search_registered_models(filter_string, max_results or 1000, order_by))


def search_model_versions(
    max_results: int | None = None, filter_string: str | None = None, order_by: list[str] | None = None
) -> list[ModelVersionView]:
    """The versions that match, the latest changed first unless ``order_by`` says otherwise."""
    return list(client().search_model_versions(filter_string, max_results or 10_000, order_by))


def get_logged_model(model_id: str) -> LoggedModelView:
    """The logged model. Raises NotFound."""
    return client().get_logged_model(model_id)


def initialize_logged_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModelView:
    """A new logged model, PENDING until ``finalize_logged_model``; by default of the open run and its experiment."""
    run = open_runs()[-1] if open_runs() else None
    where = experiment_id or (run.info.experiment_id if run else current_experiment_id())
    source = source_run_id or (run.info.run_id if run else None)
    return client().create_logged_model(where, name, source, tags=tags, params=params, model_type=model_type)


def create_external_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModelView:
    """A logged model, READY, whose files are elsewhere."""
    model = initialize_logged_model(name, source_run_id, tags, params, model_type, experiment_id)
    return client().finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def finalize_logged_model(model_id: str, status: str | LoggedModelStatus) -> LoggedModelView:
    """The logged model with its status: READY or FAILED."""
    return client().finalize_logged_model(model_id, status)


def log_model_params(params: dict[str, str], model_id: str | None = None) -> None:
    """Adds params to the logged model, by default to the one made last. Raises NotFound."""
    last = last_logged_model() if model_id is None else None
    model_id = last.model_id if last is not None else model_id
    if model_id is None:
        raise NotFound("No logged model was made here yet.", fix="Give its model_id.")
    client().log_model_params(model_id, params)


def set_logged_model_tags(model_id: str, tags: dict[str, Any]) -> None:
    """Sets tags of the logged model."""
    client().set_logged_model_tags(model_id, tags)


def delete_logged_model_tag(model_id: str, key: str) -> None:
    """Removes one tag of the logged model. Raises NotFound."""
    client().delete_logged_model_tag(model_id, key)


def last_logged_model() -> LoggedModelView | None:
    """The logged model that the open run, or the last one of this thread, made last; None where there is none."""
    run_id = last_run_id()
    if run_id is None:
        return None
    made = client().get_run(run_id).outputs.model_outputs
    return client().get_logged_model(made[-1].model_id) if made else None


def search_logged_models(
    experiment_ids: list[str] | None = None,
    filter_string: str | None = None,
    datasets: list[dict[str, str]] | None = None,
    max_results: int | None = None,
    order_by: list[dict[str, Any]] | None = None,
) -> list[LoggedModelView]:
    """The logged models that match, in the experiment in force unless others are named."""
    ids = experiment_ids or [current_experiment_id()]
    return list(client().search_logged_models(ids, filter_string, datasets, max_results, order_by))
