"""Routes of registered models and of aliases."""

from __future__ import annotations

from typing import Any

from penstock.ground.entities import RegisteredModel, Tag
from penstock.ground.wire import to_wire
from penstock.server.context import Context
from penstock.server.fields import integer, tags, text, texts
from penstock.server.handlers.experiments import Answer, page_answer
from penstock.server.handlers.model_versions import version_json
from penstock.server.routes import Route, reads, writes

BASE = "2.0/mlflow/registered-models"


def model_json(model: RegisteredModel) -> Answer:
    """A registered model as MLflow's JSON has it."""
    answer = to_wire(model)
    if model.latest_versions:
        answer["latest_versions"] = [version_json(version) for version in model.latest_versions]
    return answer


def create(context: Context, *, name: str, description: str, tags: tuple[Tag, ...]) -> Answer:
    model = context.store.registry.create_registered_model(name, description=description, tags=tags)
    return {"registered_model": model_json(model)}


def get(context: Context, *, name: str) -> Answer:
    return {"registered_model": model_json(context.store.registry.get_registered_model(name))}


def search(context: Context, **wanted: Any) -> Answer:
    return page_answer("registered_models", context.store.registry.search_registered_models(**wanted), model_json)


def update(context: Context, *, name: str, description: str) -> Answer:
    model = context.store.registry.update_registered_model(name, description=description)
    return {"registered_model": model_json(model)}


def rename(context: Context, *, name: str, new_name: str) -> Answer:
    return {"registered_model": model_json(context.store.registry.rename_registered_model(name, new_name))}


def delete(context: Context, *, name: str) -> Answer:
    context.store.registry.delete_registered_model(name, user_id=context.user_id)
    return {}


def latest_versions(context: Context, *, name: str, stages: tuple[str, ...]) -> Answer:
    versions = context.store.registry.latest_versions(name, stages=stages)
    return {"model_versions": [version_json(version) for version in versions]} if versions else {}


def set_tag(context: Context, *, name: str, key: str, value: str) -> Answer:
    context.store.registry.set_registered_model_tag(name, Tag(key=key, value=value))
    return {}


def delete_tag(context: Context, *, name: str, key: str) -> Answer:
    context.store.registry.delete_registered_model_tag(name, key)
    return {}


def set_alias(context: Context, *, name: str, alias: str, version: int) -> Answer:
    context.store.registry.set_alias(name, alias, version, user_id=context.user_id)
    return {}


def get_by_alias(context: Context, *, name: str, alias: str) -> Answer:
    return {"model_version": version_json(context.store.registry.get_by_alias(name, alias))}


def delete_alias(context: Context, *, name: str, alias: str) -> Answer:
    context.store.registry.delete_alias(name, alias, user_id=context.user_id)
    return {}


def history(context: Context, *, name: str) -> Answer:
    changes = context.store.registry.history(name)
    return {"changes": [to_wire(change) for change in changes]} if changes else {}


NAME = text("name", required=True)
KEY = text("key", required=True)
ALIAS = text("alias", required=True)
LATEST = (NAME, texts("stages"))
ROUTES: tuple[Route, ...] = (
    writes(f"{BASE}/create", create, NAME, text("description", default=""), tags("tags")),
    reads(f"{BASE}/get", get, NAME),
    reads(
        f"{BASE}/search",
        search,
        text("filter", default=""),
        integer("max_results", name="limit", default=100),
        texts("order_by"),
        text("page_token"),
    ),
    reads(f"{BASE}/list", search, integer("max_results", name="limit", default=100), text("page_token")),  # 1.x
    writes(f"{BASE}/update", update, NAME, text("description", default=""), method="PATCH"),
    writes(f"{BASE}/rename", rename, NAME, text("new_name", required=True)),
    writes(f"{BASE}/delete", delete, NAME, method="DELETE"),
    reads(f"{BASE}/get-latest-versions", latest_versions, *LATEST),
    reads(f"{BASE}/get-latest-versions", latest_versions, *LATEST, method="POST"),
    writes(f"{BASE}/set-tag", set_tag, NAME, KEY, text("value", default="")),
    writes(f"{BASE}/delete-tag", delete_tag, NAME, KEY, method="DELETE"),
    writes(f"{BASE}/alias", set_alias, NAME, ALIAS, integer("version", required=True)),
    reads(f"{BASE}/alias", get_by_alias, NAME, ALIAS),
    writes(f"{BASE}/alias", delete_alias, NAME, ALIAS, method="DELETE"),
    reads("2.0/penstock/registered-models/history", history, NAME),
)
