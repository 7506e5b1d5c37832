"""Logged models over the wire. A 2.x server has none of these routes and answers NotFound."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from penstock.api.rest.wire import Wire, read_page
from penstock.ground.entities import LoggedModel, LoggedModelStatus, Page, Param, Tag
from penstock.ground.wire import from_wire
from penstock.store.search.tree import OrderTerm

ROUTE = "logged-models"
_PREFIXES = {"metric": "metrics.", "param": "params.", "tag": "tags."}


class RestLoggedModels:
    """Create, finish, read and search logged models."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create_logged_model(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        model_type: str | None = None,
        source_run_id: str | None = None,
        params: Sequence[Param] = (),
        tags: Sequence[Tag] = (),
        model_id: str | None = None,
    ) -> LoggedModel:
        answer = self._wire.post(
            ROUTE,
            idempotent=False,
            experiment_id=experiment_id,
            name=name,
            model_type=model_type,
            source_run_id=source_run_id,
            params=params,
            tags=tags,
            model_id=model_id,
        )
        return from_wire(LoggedModel, answer["model"])

    def get_logged_model(self, model_id: str) -> LoggedModel:
        return from_wire(LoggedModel, self._wire.get(_route(model_id))["model"])

    def finish_logged_model(
        self, model_id: str, status: LoggedModelStatus, *, status_message: str | None = None
    ) -> LoggedModel:
        answer = self._wire.patch(_route(model_id), model_id=model_id, status=status, status_message=status_message)
        return from_wire(LoggedModel, answer["model"])

    def log_logged_model_params(self, model_id: str, params: Sequence[Param]) -> LoggedModel:
        self._wire.post(f"{_route(model_id)}/params", model_id=model_id, params=params)
        return self.get_logged_model(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[Tag]) -> LoggedModel:
        self._wire.patch(f"{_route(model_id)}/tags", model_id=model_id, tags=tags)
        return self.get_logged_model(model_id)

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        self._wire.delete(f"{_route(model_id)}/tags/{quote(key, safe='')}")

    def delete_logged_model(self, model_id: str) -> None:
        self._wire.delete(_route(model_id))

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        *,
        filter: str = "",
        datasets: Sequence[tuple[str, str | None]] = (),
        order_by: Sequence[OrderTerm] = (),
        limit: int = 50,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        answer = self._wire.post(
            f"{ROUTE}/search",
            experiment_ids=list(experiment_ids),
            filter=filter or None,
            datasets=[_known({"dataset_name": name, "dataset_digest": digest}) for name, digest in datasets],
            order_by=[_term(term) for term in order_by],
            max_results=limit,
            page_token=page_token,
        )
        return read_page(LoggedModel, answer, "models")


def _route(model_id: str) -> str:
    return f"{ROUTE}/{quote(model_id, safe='')}"


def _term(term: OrderTerm) -> dict[str, object]:
    return _known(
        {
            "field_name": f"{_PREFIXES.get(term.subject, '')}{term.key}",
            "ascending": term.ascending,
            "dataset_name": term.dataset_name,
            "dataset_digest": term.dataset_digest,
        }
    )


def _known(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
