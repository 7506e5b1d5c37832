"""The client's logged models: models as runs made them, before anybody registers one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.api.clients.base import ClientPart
from penstock.api.offline import start_model
from penstock.api.paging import PagedList, viewed
from penstock.api.recording.absent import FinishModel, RegisterModel, StartModel
from penstock.api.values import params_of, tags_of
from penstock.api.views import LoggedModelView, view_logged_model
from penstock.ground.entities import LoggedModelStatus
from penstock.ground.errors import InvalidInput
from penstock.ground.names import new_model_id
from penstock.store.run_names import new_run_name
from penstock.store.search.tree import OrderTerm, parse_order
from penstock.store.search.vocabulary import LOGGED_MODELS


class LoggedModelsClient(ClientPart):
    """Create, finish, read and search logged models, by MLflow's names and argument order."""

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str | None = None,
    ) -> LoggedModelView:
        """The new model, PENDING until ``finalize_logged_model``."""
        start = StartModel(
            model_id=new_model_id(),
            experiment_id=str(experiment_id),
            name=name or new_run_name(),
            run_id=source_run_id or "",
            model_type=model_type,
            params=params_of(params or {}),
            tags=tags_of(tags),
        )
        return view_logged_model(start_model(self._connection, start))

    def finalize_logged_model(self, model_id: str, status: str | LoggedModelStatus) -> LoggedModelView:
        """The model with its status: READY or FAILED."""
        connection = self._connection
        model = connection.tracking.finish_logged_model(connection.identities.of(model_id), _status(status))
        return view_logged_model(model)

    def finish_later(self, model_id: str, status: LoggedModelStatus) -> None:
        """Records the status, as ``finalize_logged_model`` sets it; while the server is away it waits on disk."""
        recorder = self._connection.recorder
        recorder.record(FinishModel(model_id=model_id, status=status))
        recorder.flush()

    def register_later(self, name: str, model_id: str, run_id: str) -> None:
        """Records that the model becomes the next version of ``name``, for a server that is away."""
        recorder = self._connection.recorder
        recorder.record(RegisterModel(name=name, model_id=model_id, run_id=run_id))
        recorder.flush()

    def get_logged_model(self, model_id: str) -> LoggedModelView:
        """The model. Raises NotFound."""
        return view_logged_model(self._connection.tracking.get_logged_model(model_id))

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[Mapping[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModelView]:
        """One page of the models that match, newest first unless ``order_by`` says otherwise."""
        page = self._connection.tracking.search_logged_models(
            [str(each) for each in experiment_ids],
            filter=filter_string or "",
            datasets=[(each["dataset_name"], each.get("dataset_digest")) for each in datasets or ()],
            order_by=[_order_term(each) for each in order_by or ()],
            limit=max_results or 50,
            page_token=page_token,
        )
        return viewed(page, view_logged_model)

    def delete_logged_model(self, model_id: str) -> None:
        """Marks the model as deleted."""
        self._connection.tracking.delete_logged_model(model_id)

    def log_model_params(self, model_id: str, params: Mapping[str, Any]) -> None:
        self._connection.tracking.log_logged_model_params(model_id, params_of(params))

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        self._connection.tracking.set_logged_model_tags(model_id, tags_of(tags))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Removes one tag. Raises NotFound."""
        self._connection.tracking.delete_logged_model_tag(model_id, key)


def _order_term(given: Mapping[str, Any]) -> OrderTerm:
    """MLflow's ``{"field_name": "metrics.accuracy", "ascending": False, "dataset_name": ...}`` as a term."""
    field, direction = str(given["field_name"]), "ASC" if given.get("ascending", True) else "DESC"
    (term,) = parse_order([f"{field} {direction}"], LOGGED_MODELS)
    return replace(term, dataset_name=given.get("dataset_name"), dataset_digest=given.get("dataset_digest"))


def _status(status: str | LoggedModelStatus) -> LoggedModelStatus:
    if isinstance(status, LoggedModelStatus):
        return status
    name = {"FAILED": "UPLOAD_FAILED"}.get(status, status).removeprefix("LOGGED_MODEL_")
    try:
        return LoggedModelStatus[name]
    except KeyError:
        raise InvalidInput(f"{status!r} is not a logged model's status.", fix="Use READY or FAILED.") from None
