"""Routes of model versions."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.ground.entities import ModelVersion, Tag
from penstock.ground.errors import NotFound
from penstock.ground.wire import to_wire
from penstock.server.context import Context
from penstock.server.fields import integer, tags, text, texts, truth
from penstock.server.handlers.experiments import Answer, page_answer
from penstock.server.routes import Route, reads, writes
from penstock.server.sources import check_source

BASE = "2.0/mlflow/model-versions"
TAG_VERSIONS = "mlflow.modelVersions"
MAX_HOPS = 20


def create(
    context: Context,
    *,
    name: str,
    source: str,
    run_id: str | None,
    model_id: str | None,
    run_link: str | None,
    description: str,
    tags: tuple[Tag, ...],
) -> Answer:
    run_id, model_id = _inherited(context, source, run_id or None, model_id or None)
    check_source(context, source, run_id=run_id, model_id=model_id)
    version = context.store.registry.create_model_version(
        name,
        source,
        run_id=run_id,
        model_id=model_id,
        run_link=run_link or None,
        description=description,
        tags=tags,
        user_id=context.user_id,
    )
    if model_id:
        _note_version(context, model_id, version)
    return {"model_version": version_json(version)}


def _inherited(
    context: Context, source: str, run_id: str | None, model_id: str | None
) -> tuple[str | None, str | None]:
    """The run and the logged model of a version that is copied from another version: that one's, unless it has none."""
    named = source.removeprefix("models:/").lstrip("/")
    if not source.startswith("models:/") or named.startswith("m-") or ".." in source:
        return run_id, model_id
    original = _named_version(context, named)
    return run_id or original.run_id, model_id or original.model_id


def _note_version(context: Context, model_id: str, version: ModelVersion) -> None:
    """Adds the version to the logged model's tag that lists its versions, once."""
    model = context.store.tracking.get_logged_model(model_id)
    kept = {tag.key: tag.value for tag in model.tags}.get(TAG_VERSIONS, "[]")
    line = {"name": version.name, "version": version.version}
    try:
        lines = msgspec.json.decode(kept, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        lines = []
    if line not in lines:
        value = msgspec.json.encode([*lines, line]).decode()
        context.store.tracking.set_logged_model_tags(model_id, [Tag(key=TAG_VERSIONS, value=value)])


def version_json(version: ModelVersion) -> Answer:
    """A version as MLflow's JSON has it, which writes its run and its link though there are none."""
    return {"run_id": "", "run_link": "", **to_wire(version)}


def get(context: Context, *, name: str, version: int) -> Answer:
    return {"model_version": version_json(context.store.registry.get_model_version(name, version))}


def search(context: Context, **wanted: Any) -> Answer:
    return page_answer("model_versions", context.store.registry.search_model_versions(**wanted), version_json)


def update(context: Context, *, name: str, version: int, description: str) -> Answer:
    changed = context.store.registry.update_model_version(name, version, description=description)
    return {"model_version": version_json(changed)}


def transition(context: Context, *, name: str, version: int, stage: str, archive_existing_versions: bool) -> Answer:
    moved = context.store.registry.transition_stage(
        name, version, stage=stage, archive_existing_versions=archive_existing_versions, user_id=context.user_id
    )
    return {"model_version": version_json(moved)}


def delete(context: Context, *, name: str, version: int) -> Answer:
    context.store.registry.delete_model_version(name, version, user_id=context.user_id)
    return {}


def download_uri(context: Context, *, name: str, version: int) -> Answer:
    return {"artifact_uri": resolve_source(context, context.store.registry.get_model_version(name, version))}


def resolve_source(context: Context, version: ModelVersion) -> str:
    """Where the version's files are: ``models:`` and ``runs:`` sources are followed. Raises NotFound for a loop."""
    source = version.source
    for _ in range(MAX_HOPS):
        if source.startswith("runs:/"):
            run_id, _, path = source.removeprefix("runs:/").lstrip("/").partition("/")
            root = context.store.tracking.get_run(run_id).info.artifact_uri
            return f"{root}/{path}" if path else root
        if not source.startswith("models:/"):
            return source
        named = source.removeprefix("models:/").lstrip("/")
        if named.startswith("m-"):
            return context.store.tracking.get_logged_model(named).artifact_uri
        source = _named_version(context, named).source
    raise NotFound(f"The source of {version.name} version {version.version} leads back to itself.")


def _named_version(context: Context, named: str) -> ModelVersion:
    name, separator, number = named.rpartition("/")
    if separator and number.isascii() and number.isdigit() and len(number) < 19:
        return context.store.registry.get_model_version(name, int(number))
    name, _, alias = named.partition("@")
    return context.store.registry.get_by_alias(name, alias or "latest")


def set_tag(context: Context, *, name: str, version: int, key: str, value: str) -> Answer:
    context.store.registry.set_model_version_tag(name, version, Tag(key=key, value=value))
    return {}


def delete_tag(context: Context, *, name: str, version: int, key: str) -> Answer:
    context.store.registry.delete_model_version_tag(name, version, key)
    return {}


NAME = text("name", required=True)
VERSION = integer("version", required=True)
KEY = text("key", required=True)
ROUTES: tuple[Route, ...] = (
    writes(
        f"{BASE}/create",
        create,
        NAME,
        text("source", required=True),
        text("run_id"),
        text("model_id"),
        text("run_link"),
        text("description", default=""),
        tags("tags"),
    ),
    reads(f"{BASE}/get", get, NAME, VERSION),
    reads(
        f"{BASE}/search",
        search,
        text("filter", default=""),
        integer("max_results", name="limit", default=10_000),
        texts("order_by"),
        text("page_token"),
    ),
    writes(f"{BASE}/update", update, NAME, VERSION, text("description", default=""), method="PATCH"),
    writes(
        f"{BASE}/transition-stage",
        transition,
        NAME,
        VERSION,
        text("stage", required=True),
        truth("archive_existing_versions"),
    ),
    writes(f"{BASE}/delete", delete, NAME, VERSION, method="DELETE"),
    reads(f"{BASE}/get-download-uri", download_uri, NAME, VERSION),
    writes(f"{BASE}/set-tag", set_tag, NAME, VERSION, KEY, text("value", default="")),
    writes(f"{BASE}/delete-tag", delete_tag, NAME, VERSION, KEY, method="DELETE"),
)
