"""Routes of logged models."""

from __future__ import annotations

import re
from typing import Any

from penstock.ground.entities import FileInfo, LoggedModelStatus, Param, Tag
from penstock.ground.errors import InvalidInput
from penstock.ground.wire import to_wire
from penstock.server.context import Context
from penstock.server.fields import choice, integer, objects, params, tags, text, texts
from penstock.server.handlers.artifacts import list_artifacts
from penstock.server.handlers.experiments import Answer, page_answer
from penstock.server.routes import Route, reads, writes
from penstock.store.limits import invalid_value, missing_value
from penstock.store.search.tokens import tokenize
from penstock.store.search.tree import OrderTerm, resolve_name
from penstock.store.search.vocabulary import LOGGED_MODELS

BASE = "2.0/mlflow/logged-models"
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def create(context: Context, *, experiment_id: str, model_id: str | None, **details: Any) -> Answer:
    if model_id is not None and not _MODEL_ID.fullmatch(model_id):
        raise invalid_value("model_id", model_id, "It must be 'm-' and 32 hex digits.")
    details["model_id"] = model_id
    return {"model": to_wire(context.store.tracking.create_logged_model(experiment_id, **details))}


def get(context: Context, *, model_id: str) -> Answer:
    return {"model": to_wire(context.store.tracking.get_logged_model(model_id))}


def finish(context: Context, *, model_id: str, status: LoggedModelStatus | None, status_message: str | None) -> Answer:
    if status is None:
        raise missing_value("status")
    tracking = context.store.tracking
    return {"model": to_wire(tracking.finish_logged_model(model_id, status, status_message=status_message))}


def delete(context: Context, *, model_id: str) -> Answer:
    context.store.tracking.delete_logged_model(model_id)
    return {}


def set_tags(context: Context, *, model_id: str, tags: tuple[Tag, ...]) -> Answer:
    return {"model": to_wire(context.store.tracking.set_logged_model_tags(model_id, tags))}


def delete_tag(context: Context, *, model_id: str, key: str) -> Answer:
    context.store.tracking.delete_logged_model_tag(model_id, key)
    return {}


def log_params(context: Context, *, model_id: str, params: tuple[Param, ...]) -> Answer:
    return {"model": to_wire(context.store.tracking.log_logged_model_params(model_id, params))}


def search(
    context: Context,
    *,
    experiment_ids: tuple[str, ...],
    filter: str,
    datasets: tuple[dict[str, Any], ...],
    order_by: tuple[dict[str, Any], ...],
    limit: int,
    page_token: str | None,
) -> Answer:
    page = context.store.tracking.search_logged_models(
        experiment_ids,
        filter=filter,
        datasets=[_dataset(entry, f"datasets[{index}]") for index, entry in enumerate(datasets)],
        order_by=[_order_term(entry, f"order_by[{index}]") for index, entry in enumerate(order_by)],
        limit=limit,
        page_token=page_token,
    )
    return page_answer("models", page)


def _dataset(entry: dict[str, Any], path: str) -> tuple[str, str | None]:
    name, digest = entry.get("dataset_name"), entry.get("dataset_digest")
    if not name:
        raise missing_value(f"{path}.dataset_name")
    return _text(name, f"{path}.dataset_name"), _text(digest, f"{path}.dataset_digest") if digest else None


def _order_term(entry: dict[str, Any], path: str) -> OrderTerm:
    tokens = tokenize(_text(entry.get("field_name") or "", f"{path}.field_name"))
    if len(tokens) != 1 or not tokens[0].parts:
        raise missing_value(f"{path}.field_name")
    subject, key = resolve_name(tokens[0], LOGGED_MODELS)
    if subject not in LOGGED_MODELS.ordered_by:
        raise InvalidInput(f"Invalid order_by field_name: {tokens[0].source}.", fix="Order by attributes or metrics.")
    name, digest = entry.get("dataset_name"), entry.get("dataset_digest")
    return OrderTerm(
        subject,
        key,
        entry.get("ascending", True) is not False,
        _text(name, f"{path}.dataset_name") if name else None,
        _text(digest, f"{path}.dataset_digest") if digest else None,
    )


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise invalid_value(path, value, "It must be a string.")
    return value


def directories(context: Context, *, model_id: str, path: str) -> Answer:
    model = context.store.tracking.get_logged_model(model_id)
    files: tuple[FileInfo, ...] = list_artifacts(context, model.artifact_uri, path)
    answer: Answer = {"root_uri": model.artifact_uri}
    return answer | ({"files": [to_wire(info) for info in files]} if files else {})


ROUTES: tuple[Route, ...] = (
    writes(
        BASE,
        create,
        text("experiment_id", required=True),
        text("name"),
        text("model_type"),
        text("source_run_id"),
        text("model_id"),
        params("params"),
        tags("tags"),
    ),
    reads(f"{BASE}/{{model_id}}", get),
    writes(
        f"{BASE}/{{model_id}}",
        finish,
        choice("status", LoggedModelStatus),
        text("status_message"),
        method="PATCH",
    ),
    writes(f"{BASE}/{{model_id}}", delete, method="DELETE"),
    writes(f"{BASE}/{{model_id}}/tags", set_tags, tags("tags"), method="PATCH"),
    writes(f"{BASE}/{{model_id}}/tags/{{key}}", delete_tag, method="DELETE"),
    writes(f"{BASE}/{{model_id}}/params", log_params, params("params")),
    reads(
        f"{BASE}/search",
        search,
        texts("experiment_ids", required=True),
        text("filter", default=""),
        objects("datasets"),
        integer("max_results", name="limit", default=50),
        objects("order_by"),
        text("page_token"),
        method="POST",
    ),
    reads(
        f"{BASE}/{{model_id}}/artifacts/directories",
        directories,
        text("artifact_directory_path", name="path", default=""),
    ),
)
