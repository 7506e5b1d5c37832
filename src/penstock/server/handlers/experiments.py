"""Routes of experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.ground.entities import Experiment, Page, Tag, ViewType
from penstock.ground.errors import NotFound
from penstock.ground.wire import to_wire
from penstock.server.context import Context
from penstock.server.fields import choice, integer, tags, text, texts
from penstock.server.routes import Route, reads, writes

Answer = dict[str, Any]
BASE = "2.0/mlflow/experiments"
MAX_LISTED = 50_000


def create(context: Context, *, name: str, artifact_location: str | None, tags: tuple[Tag, ...]) -> Answer:
    number = context.store.tracking.create_experiment(name, artifact_location=artifact_location, tags=tags)
    return {"experiment_id": number}


def get(context: Context, *, experiment_id: str) -> Answer:
    return {"experiment": to_wire(context.store.tracking.get_experiment(experiment_id))}


def get_by_name(context: Context, *, name: str) -> Answer:
    experiment = context.store.tracking.find_experiment_by_name(name)
    if experiment is None:
        raise NotFound(f"Could not find experiment with name '{name}'.", fix="Create it, or check the name.")
    return {"experiment": to_wire(experiment)}


def search(context: Context, **wanted: Any) -> Answer:
    page: Page[Experiment] = context.store.tracking.search_experiments(**wanted)
    return page_answer("experiments", page)


def page_answer(key: str, page: Page[Any], write: Callable[[Any], Answer] = to_wire) -> Answer:
    """The page under ``key``, with the next page's token where there is one."""
    answer: Answer = {key: [write(item) for item in page.items]} if page.items else {}
    if page.next_page_token:
        answer["next_page_token"] = page.next_page_token
    return answer


def delete(context: Context, *, experiment_id: str) -> Answer:
    context.store.tracking.delete_experiment(experiment_id)
    return {}


def restore(context: Context, *, experiment_id: str) -> Answer:
    context.store.tracking.restore_experiment(experiment_id)
    return {}


def update(context: Context, *, experiment_id: str, new_name: str) -> Answer:
    context.store.tracking.rename_experiment(experiment_id, new_name)
    return {}


def set_tag(context: Context, *, experiment_id: str, key: str, value: str) -> Answer:
    context.store.tracking.set_experiment_tag(experiment_id, Tag(key=key, value=value))
    return {}


def delete_tag(context: Context, *, experiment_id: str, key: str) -> Answer:
    context.store.tracking.delete_experiment_tag(experiment_id, key)
    return {}


def search_datasets(context: Context, *, experiment_ids: tuple[str, ...]) -> Answer:
    summaries = context.store.tracking.list_datasets(experiment_ids)
    found = []
    for summary in summaries:
        line = {"experiment_id": summary.experiment_id, "name": summary.name, "digest": summary.digest}
        found.append(line | ({"context": summary.context} if summary.context else {}))
    return {"dataset_summaries": found} if found else {}


ID = text("experiment_id", required=True)
LISTED = (text("page_token"), choice("view_type", ViewType, name="view", default=ViewType.ACTIVE_ONLY))
SEARCH = (
    integer("max_results", name="limit", required=True),
    text("filter", default=""),
    texts("order_by"),
    *LISTED,
)
ROUTES: tuple[Route, ...] = (
    writes(f"{BASE}/create", create, text("name", required=True), text("artifact_location"), tags("tags")),
    reads(f"{BASE}/get", get, ID),
    reads(f"{BASE}/get-by-name", get_by_name, text("experiment_name", name="name", required=True)),
    reads(f"{BASE}/search", search, *SEARCH),
    reads(f"{BASE}/search", search, *SEARCH, method="POST"),
    reads(f"{BASE}/list", search, integer("max_results", name="limit", default=MAX_LISTED), *LISTED),  # 1.x
    writes(f"{BASE}/delete", delete, ID),
    writes(f"{BASE}/restore", restore, ID),
    writes(f"{BASE}/update", update, ID, text("new_name", required=True)),
    writes(f"{BASE}/set-experiment-tag", set_tag, ID, text("key", required=True), text("value", default="")),
    writes(f"{BASE}/delete-experiment-tag", delete_tag, ID, text("key", required=True)),
    reads(f"{BASE}/search-datasets", search_datasets, texts("experiment_ids", required=True), method="POST"),
)
