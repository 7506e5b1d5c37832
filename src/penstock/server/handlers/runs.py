"""Routes of runs and of what they log."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from penstock.ground.entities import (
    DatasetInput,
    Metric,
    ModelInput,
    ModelOutput,
    Param,
    RunStatus,
    Tag,
    ViewType,
)
from penstock.ground.errors import InvalidInput
from penstock.ground.wire import to_wire
from penstock.server.context import Context
from penstock.server.fields import (
    Field,
    choice,
    double,
    entities,
    integer,
    metrics,
    params,
    tags,
    text,
    texts,
)
from penstock.server.handlers.experiments import Answer
from penstock.server.routes import Route, Work, reads, writes
from penstock.server.run_json import RunJson, RunPage, run_json, run_page
from penstock.server.shapes import Decoder, LogBatch, LogMetric, Shape
from penstock.store.batches import RunBatch
from penstock.store.limits import invalid_value
from penstock.store.part import TAG_USER

BASE = "2.0/mlflow/runs"
MAX_BATCH_BYTES = 1_000_000
_RUN_ID = re.compile(r"[0-9a-f]{32}")
TAG_MODEL_HISTORY = "mlflow.log-model.history"


def create(
    context: Context,
    *,
    experiment_id: str,
    user_id: str | None,
    run_name: str | None,
    start_time_ms: int | None,
    tags: tuple[Tag, ...],
    run_id: str | None,
) -> Answer:
    if run_id is not None and not _RUN_ID.fullmatch(run_id):  # it names a folder of whatever place the experiment has
        raise invalid_value("run_id", run_id, "It must be 32 hex digits.")
    tagged = next((tag.value for tag in tags if tag.key == TAG_USER), None)
    run = context.store.tracking.create_run(
        experiment_id,
        user_id=user_id or tagged,
        run_name=run_name,
        start_time_ms=start_time_ms,
        tags=tags,
        run_id=run_id,
    )
    return {"run": {"inputs": {}, **to_wire(run)}}


def get(context: Context, *, run_id: str) -> dict[str, RunJson]:
    return {"run": run_json(context.store.tracking.get_run_row(run_id))}


def update(
    context: Context, *, run_id: str, status: RunStatus | None, end_time_ms: int | None, run_name: str | None
) -> Answer:
    info = context.store.tracking.update_run(run_id, status=status, end_time_ms=end_time_ms, run_name=run_name)
    return {"run_info": to_wire(info)}


def delete(context: Context, *, run_id: str) -> Answer:
    context.store.tracking.delete_run(run_id)
    return {}


def restore(context: Context, *, run_id: str) -> Answer:
    context.store.tracking.restore_run(run_id)
    return {}


def delete_tag(context: Context, *, run_id: str, key: str) -> Answer:
    context.store.tracking.delete_tag(run_id, key)
    return {}


def search(context: Context, *, experiment_ids: tuple[str, ...], **wanted: Any) -> RunPage:
    return run_page(context.store.tracking.search_run_rows(experiment_ids, **wanted))


def log_metric(*, run_id: str, key: str, value: float, timestamp: int, step: int, **of: str | None) -> RunBatch:
    metric = Metric(key=key, value=value, timestamp_ms=timestamp, step=step, **of)
    return RunBatch(run_id=run_id, metrics=(metric,))


def log_param(*, run_id: str, key: str, value: str) -> RunBatch:
    return RunBatch(run_id=run_id, params=(Param(key=key, value=value),))


def set_tag(*, run_id: str, key: str, value: str) -> RunBatch:
    return RunBatch(run_id=run_id, tags=(Tag(key=key, value=value),))


def log_batch(
    *, run_id: str, metrics: tuple[Metric, ...], params: tuple[Param, ...], tags: tuple[Tag, ...]
) -> RunBatch:
    return RunBatch(run_id=run_id, metrics=metrics, params=params, tags=tags)


def log_inputs(
    context: Context, *, run_id: str, datasets: tuple[DatasetInput, ...], models: tuple[ModelInput, ...]
) -> Answer:
    context.store.tracking.log_inputs(run_id, datasets=datasets, models=models)
    return {}


def log_outputs(context: Context, *, run_id: str, models: tuple[ModelOutput, ...]) -> Answer:
    context.store.tracking.log_outputs(run_id, models=models)
    return {}


def log_model(context: Context, *, run_id: str, model_json: str) -> Answer:
    """Appends the model to the tag in which MLflow 1.x and 2.x clients look for a run's models."""
    model = _model_document(model_json)
    tracking = context.store.tracking
    kept = {tag.key: tag.value for tag in tracking.get_run(run_id).data.tags}.get(TAG_MODEL_HISTORY, "[]")
    history = [*msgspec.json.decode(kept, type=list[dict[str, Any]]), model]
    tracking.log_batch(run_id, tags=[Tag(key=TAG_MODEL_HISTORY, value=msgspec.json.encode(history).decode())])
    return {}


def _model_document(model_json: str) -> dict[str, Any]:
    try:
        model = msgspec.json.decode(model_json, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidInput(
            "Malformed model info. model_json is not valid JSON.", fix="Send the MLmodel document as JSON."
        ) from None
    absent = {"artifact_path", "flavors", "utc_time_created", "run_id"} - model.keys()
    if absent:
        raise InvalidInput(f"Model json is missing mandatory fields: {sorted(absent)}.", fix="Send all of them.")
    return model


def _batch(path: str, handler: Any, *fields: Field, shape: type[Shape] | None = None) -> Route:
    return Route(
        method="POST",
        path=path,
        handler=handler,
        fields=fields,
        work=Work.BATCH,
        max_body_bytes=MAX_BATCH_BYTES,
        decoder=Decoder(shape) if shape is not None else None,
    )


ID = text("run_id", required=True, also="run_uuid")
KEY = text("key", required=True)
ROUTES: tuple[Route, ...] = (
    writes(
        f"{BASE}/create",
        create,
        text("experiment_id", default="0"),
        text("user_id"),
        text("run_name"),
        integer("start_time", name="start_time_ms"),
        tags("tags"),
        text("run_id"),
    ),
    reads(f"{BASE}/get", get, ID),
    writes(
        f"{BASE}/update",
        update,
        ID,
        choice("status", RunStatus),
        integer("end_time", name="end_time_ms"),
        text("run_name"),
    ),
    writes(f"{BASE}/delete", delete, ID),
    writes(f"{BASE}/restore", restore, ID),
    writes(f"{BASE}/delete-tag", delete_tag, ID, KEY),
    reads(
        f"{BASE}/search",
        search,
        texts("experiment_ids"),
        text("filter", default=""),
        choice("run_view_type", ViewType, name="view", default=ViewType.ACTIVE_ONLY),
        integer("max_results", name="limit", default=1000),
        texts("order_by"),
        text("page_token"),
        method="POST",
    ),
    _batch(
        f"{BASE}/log-metric",
        log_metric,
        ID,
        KEY,
        double("value", required=True),
        integer("timestamp", required=True),
        integer("step", default=0),
        text("model_id"),
        text("dataset_name"),
        text("dataset_digest"),
        shape=LogMetric,
    ),
    _batch(f"{BASE}/log-parameter", log_param, ID, KEY, text("value", default="")),
    _batch(f"{BASE}/set-tag", set_tag, ID, KEY, text("value", default="")),
    _batch(
        f"{BASE}/log-batch",
        log_batch,
        ID,
        metrics("metrics"),
        params("params"),
        tags("tags"),
        shape=LogBatch,
    ),
    writes(f"{BASE}/log-model", log_model, ID, text("model_json", required=True)),
    writes(f"{BASE}/log-inputs", log_inputs, ID, entities("datasets", DatasetInput), entities("models", ModelInput)),
    writes(f"{BASE}/outputs", log_outputs, ID, entities("models", ModelOutput, required=True)),
)
