"""Logged models: model folders that runs logged, before anybody registers them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock.ground.entities import (
    LoggedModel,
    LoggedModelStatus,
    Metric,
    Page,
    Param,
    Tag,
    ViewType,
)
from penstock.ground.errors import AlreadyExists, NotFound
from penstock.ground.names import new_model_id
from penstock.store import limits
from penstock.store.database import Row, Session
from penstock.store.experiments import active_experiment
from penstock.store.part import Part
from penstock.store.queries import Queries
from penstock.store.run_names import new_run_name
from penstock.store.search.leading import run_search
from penstock.store.search.pages import Window
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import OrderTerm, check_order, parse_filter
from penstock.store.search.vocabulary import LOGGED_MODELS

SQL = Queries("logged_models")
MAX_PAGE = 50_000
NAN = float("nan")


class LoggedModels(Part):
    """Create, read, change and search logged models."""

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
        """The new logged model, with status PENDING. Raises NotFound for the experiment, InvalidInput."""
        chosen = name or new_run_name()
        limits.check_logged_model_name(chosen)
        limits.check_length("model_type", model_type or "", limits.MAX_MODEL_NAME_CHARS)
        limits.check_length("source_run_id", source_run_id or "", limits.MAX_ID_CHARS)
        limits.check_length("model_id", model_id or "", limits.MAX_ID_CHARS)
        _check_pairs(params, tags)

        def work(session: Session) -> LoggedModel:
            experiment = active_experiment(session, experiment_id)
            now_ms, identity = self.clock.now_ms(), model_id or new_model_id()
            model = LoggedModel(
                model_id=identity,
                experiment_id=experiment.experiment_id,
                name=chosen,
                artifact_uri=f"{experiment.artifact_location}/models/{identity}/artifacts",
                creation_time_ms=now_ms,
                last_update_time_ms=now_ms,
                model_type=model_type,
                source_run_id=source_run_id,
                params=tuple(params),
                tags=tuple(tags),
            )
            insert_logged_model(session, model)
            return read_logged_model(session, identity)

        return self.database.write(work)

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """The logged model. Raises NotFound, also when it is deleted."""
        return self.database.read(lambda session: read_logged_model(session, model_id))

    def finish_logged_model(
        self, model_id: str, status: LoggedModelStatus, *, status_message: str | None = None
    ) -> LoggedModel:
        """The logged model with its new status. Raises NotFound."""

        def work(session: Session) -> LoggedModel:
            read_logged_model(session, model_id)
            values = {"status": status.value, "status_message": status_message, "now_ms": self.clock.now_ms()}
            session.run(SQL.set_status, {"model_id": model_id, **values})
            return read_logged_model(session, model_id)

        return self.database.write(work)

    def log_logged_model_params(self, model_id: str, params: Sequence[Param]) -> LoggedModel:
        """The logged model with these params set. Raises NotFound, InvalidInput."""
        _check_pairs(params, ())
        return self._change(model_id, SQL.set_params, params)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[Tag]) -> LoggedModel:
        """The logged model with these tags set. Raises NotFound, InvalidInput."""
        _check_pairs((), tags)
        return self._change(model_id, SQL.set_tags, tags)

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Removes one tag. Raises NotFound for the model or the tag."""

        def work(session: Session) -> None:
            read_logged_model(session, model_id)
            if not session.run(SQL.delete_tag, {"model_id": model_id, "key": key}):
                raise NotFound(f"No tag with key {key!r} found for model with ID {model_id!r}.", fix="Check the key.")
            session.run(SQL.touch, {"model_id": model_id, "now_ms": self.clock.now_ms()})

        self.database.write(work)

    def delete_logged_model(self, model_id: str) -> None:
        """Marks the logged model as deleted. Raises NotFound."""

        def work(session: Session) -> None:
            read_logged_model(session, model_id)
            session.run(SQL.delete, {"model_id": model_id, "now_ms": self.clock.now_ms()})

        self.database.write(work)

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
        """Logged models that match, newest first unless ``order_by`` says otherwise.

        ``datasets`` are (name, digest or None) and narrow the metrics that the filter speaks of. A page token serves
        the same question only. Raises InvalidInput.
        """
        numbers = [limits.experiment_number(text) for text in dict.fromkeys(experiment_ids)]
        clauses, order = parse_filter(filter, LOGGED_MODELS), check_order(order_by)
        question = msgspec.json.encode((numbers, filter, list(datasets), list(order))).decode()
        window = Window.open(limit, page_token, maximum=MAX_PAGE, bound_to=question)
        search = compile_search(
            LOGGED_MODELS, clauses, order, view=ViewType.ACTIVE_ONLY, experiment_ids=numbers, datasets=datasets
        )

        def work(session: Session) -> Page[LoggedModel]:
            rows = run_search(session, search, window.parameters) if numbers else []
            page = window.page(rows)
            return Page(items=tuple(_with_data(session, page.items)), next_page_token=page.next_page_token)

        return self.database.read(work)

    def _change(self, model_id: str, statement: str, pairs: Sequence[Param] | Sequence[Tag]) -> LoggedModel:
        def work(session: Session) -> LoggedModel:
            read_logged_model(session, model_id)
            session.many(statement, _pair_rows(model_id, pairs))
            session.run(SQL.touch, {"model_id": model_id, "now_ms": self.clock.now_ms()})
            return read_logged_model(session, model_id)

        return self.database.write(work)


def insert_logged_model(session: Session, model: LoggedModel) -> None:
    """Stores the model with its params and tags. Raises AlreadyExists when the id is taken."""
    values = {
        "model_id": model.model_id,
        "experiment_id": int(model.experiment_id),
        "name": model.name,
        "artifact_uri": model.artifact_uri,
        "creation_time_ms": model.creation_time_ms,
        "last_update_time_ms": model.last_update_time_ms,
        "model_type": model.model_type,
        "source_run_id": model.source_run_id,
        "status": model.status.value,
        "status_message": model.status_message,
    }
    if not session.run(SQL.create, values):
        raise AlreadyExists(f"Logged model with ID '{model.model_id}' already exists.", fix="Choose another id.")
    session.many(SQL.set_params, _pair_rows(model.model_id, model.params))
    session.many(SQL.set_tags, _pair_rows(model.model_id, model.tags))


def read_logged_model(session: Session, model_id: str) -> LoggedModel:
    """The logged model. Raises NotFound, also when it is deleted."""
    row = session.row(SQL.by_id, {"model_id": model_id})
    if row is None:
        raise NotFound(f"Logged model with ID '{model_id}' not found.", fix="Check the id.")
    return _with_data(session, [row])[0]


def _pair_rows(model_id: str, pairs: Sequence[Param] | Sequence[Tag]) -> list[tuple[str, str, str]]:
    return [(model_id, key, value) for key, value in {pair.key: pair.value for pair in pairs}.items()]


def _check_pairs(params: Sequence[Param], tags: Sequence[Tag]) -> None:
    for index, param in enumerate(params):
        limits.check_pair(param, path=f"params[{index}]")
    for index, tag in enumerate(tags):
        limits.check_pair(tag, path=f"tags[{index}]")


def _with_data(session: Session, rows: Sequence[Row]) -> list[LoggedModel]:
    wanted = {"model_ids": [row[0] for row in rows]}
    params: dict[str, list[Param]] = {row[0]: [] for row in rows}
    tags: dict[str, list[Tag]] = {row[0]: [] for row in rows}
    metrics: dict[str, list[Metric]] = {row[0]: [] for row in rows}
    if rows:
        for model_id, key, value in session.rows(SQL.params, wanted):
            params[model_id].append(Param(key=key, value=value))
        for model_id, key, value in session.rows(SQL.tags, wanted):
            tags[model_id].append(Tag(key=key, value=value))
        for row in session.rows(SQL.metrics, wanted):
            metrics[row[0]].append(_point(row))
    return [_model(row, tuple(params[row[0]]), tuple(tags[row[0]]), tuple(metrics[row[0]])) for row in rows]


def _point(row: Row) -> Metric:
    return Metric(
        key=row[1],
        value=NAN if row[3] else row[2],
        timestamp_ms=row[4],
        step=row[5],
        model_id=row[0],
        dataset_name=row[6] or None,
        dataset_digest=row[7] or None,
        run_id=row[8],
    )


def _model(row: Row, params: tuple[Param, ...], tags: tuple[Tag, ...], metrics: tuple[Metric, ...]) -> LoggedModel:
    return LoggedModel(
        model_id=row[0],
        experiment_id=str(row[1]),
        name=row[2],
        artifact_uri=row[3],
        creation_time_ms=row[4],
        last_update_time_ms=row[5],
        model_type=row[6],
        source_run_id=row[7],
        status=LoggedModelStatus(row[8]),
        status_message=row[9],
        params=params,
        tags=tags,
        metrics=metrics,
    )
