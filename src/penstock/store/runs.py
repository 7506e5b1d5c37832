"""Runs: one execution of some code, with what it logged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.ground.entities import (
    LifecycleStage,
    Metric,
    Page,
    Param,
    Run,
    RunData,
    RunInfo,
    RunStatus,
    Tag,
    ViewType,
)
from penstock.ground.errors import AlreadyExists, InvalidInput, NotFound
from penstock.ground.names import new_run_id
from penstock.store import limits
from penstock.store.batches import RunBatch, absent_run, active_head, write_batches
from penstock.store.database import Row, Session
from penstock.store.experiments import active_experiment
from penstock.store.inputs import Links, read_links
from penstock.store.part import TAG_RUN_NAME, Part
from penstock.store.queries import Queries
from penstock.store.run_names import new_run_name
from penstock.store.search.leading import run_search
from penstock.store.search.pages import Window
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import parse_filter, parse_order
from penstock.store.search.vocabulary import RUNS

SQL = Queries("runs")
MAX_PAGE = 50_000
NAN = float("nan")


class RunRow(Struct, frozen=True):
    """A run as it is stored: ``info`` has the columns of the query ``by_id``.

    A metric's row is (key, value, timestamp_ms, step), NaN included; a param's and a tag's is (key, value).
    """

    info: Row
    metrics: list[Row]
    params: list[Row]
    tags: list[Row]
    links: Links


class Runs(Part):
    """Create, read, change and search runs."""

    def create_run(
        self,
        experiment_id: str,
        *,
        run_name: str | None = None,
        start_time_ms: int | None = None,
        user_id: str | None = None,
        tags: Sequence[Tag] = (),
        run_id: str | None = None,
    ) -> Run:
        """The new run, with status RUNNING and a name.

        ``run_id`` may be chosen by a caller that repeats itself after a failure: the second time raises AlreadyExists.
        Raises NotFound for the experiment, InvalidInput when it is deleted or the name contradicts the name's tag.
        """
        limits.check_batch((), (), tags)
        name = _chosen_name(run_name, tags)
        named = {**{tag.key: tag for tag in tags}, TAG_RUN_NAME: Tag(key=TAG_RUN_NAME, value=name)}
        identity = run_id or new_run_id()
        limits.check_run_id(identity)

        def work(session: Session) -> Run:
            experiment = active_experiment(session, experiment_id)
            info = RunInfo(
                run_id=identity,
                run_name=name,
                experiment_id=experiment.experiment_id,
                user_id=user_id or "",
                start_time_ms=self.clock.now_ms() if start_time_ms is None else start_time_ms,
                artifact_uri=f"{experiment.artifact_location}/{identity}/artifacts",
            )
            insert_run(session, info)
            batch = RunBatch(run_id=identity, tags=tuple(sorted(named.values(), key=lambda tag: tag.key)))
            write_batches(session, [batch])
            return Run(info=info, data=RunData(tags=batch.tags))

        return self.database.write(work)

    def get_run(self, run_id: str) -> Run:
        """The run with all it logged, deleted ones too. Raises NotFound."""
        return run_of(self.get_run_row(run_id))

    def get_run_row(self, run_id: str) -> RunRow:
        """The run as it is stored. Raises NotFound."""
        return self.database.read(lambda session: _with_data(session, [_row(session, run_id)])[0])

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        """The run's info after changing what is given. Raises NotFound, or InvalidInput when the run is deleted."""
        tags = (Tag(key=TAG_RUN_NAME, value=run_name),) if run_name else ()
        limits.check_batch((), (), tags)

        def work(session: Session) -> RunInfo:
            head = active_head(session, run_id)
            values = {"status": status, "end_time_ms": end_time_ms, "run_name": run_name or None}
            session.run(SQL.update, {"run_no": head.run_no, **values})
            if tags:
                write_batches(session, [RunBatch(run_id=run_id, tags=tags)])
            return _info(_row(session, run_id))

        return self.database.write(work)

    def delete_run(self, run_id: str) -> None:
        """Marks the run as deleted, if it is not. Raises NotFound."""
        self._move_run(run_id, LifecycleStage.DELETED)

    def restore_run(self, run_id: str) -> None:
        """Brings a deleted run back, if it is one. Raises NotFound."""
        self._move_run(run_id, LifecycleStage.ACTIVE)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Removes one tag. Raises NotFound for the run or the tag, InvalidInput when the run is deleted."""

        def work(session: Session) -> None:
            head = active_head(session, run_id)
            if not session.run(SQL.delete_tag, {"run_no": head.run_no, "key": key}):
                raise NotFound(f"No tag with name: {key} in run with id {run_id}.", fix="Check the key.")

        self.database.write(work)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        limit: int = 1000,
        page_token: str | None = None,
    ) -> Page[Run]:
        """Runs of these experiments that match, newest first unless ``order_by`` says otherwise."""
        page = self.search_run_rows(
            experiment_ids, filter=filter, view=view, order_by=order_by, limit=limit, page_token=page_token
        )
        return Page(items=tuple(map(run_of, page.items)), next_page_token=page.next_page_token)

    def search_run_rows(
        self,
        experiment_ids: Sequence[str],
        *,
        filter: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        limit: int = 1000,
        page_token: str | None = None,
    ) -> Page[RunRow]:
        """Like ``search_runs``, the runs as they are stored: what a server sends on needs no entities on the way."""
        numbers = [limits.experiment_number(text) for text in dict.fromkeys(experiment_ids)]
        clauses, order = parse_filter(filter, RUNS), parse_order(order_by, RUNS)
        window = Window.open(limit, page_token, maximum=MAX_PAGE)
        search = compile_search(RUNS, clauses, order, view=view, experiment_ids=numbers)

        def work(session: Session) -> Page[RunRow]:
            rows = run_search(session, search, window.parameters) if numbers else []
            page = window.page(rows)
            return Page(items=tuple(_with_data(session, page.items)), next_page_token=page.next_page_token)

        return self.database.read(work)

    def _move_run(self, run_id: str, stage: LifecycleStage) -> None:
        def work(session: Session) -> None:
            row = _row(session, run_id)
            if row[9] == stage:  # as in MLflow, which lets a repeated request pass
                return
            moment = self.clock.now_ms() if stage is LifecycleStage.DELETED else None
            session.run(SQL.set_stage, {"run_no": row[0], "stage": stage.value, "deleted_time_ms": moment})

        self.database.write(work)


def insert_run(session: Session, info: RunInfo, *, deleted_time_ms: int | None = None) -> int:
    """The number of the run, stored now. Raises AlreadyExists when its id is taken."""
    values: dict[str, Any] = {
        "run_id": info.run_id,
        "experiment_id": int(info.experiment_id),
        "run_name": info.run_name,
        "user_id": info.user_id,
        "status": info.status.value,
        "start_time_ms": info.start_time_ms or 0,
        "end_time_ms": info.end_time_ms,
        "lifecycle_stage": info.lifecycle_stage.value,
        "deleted_time_ms": deleted_time_ms,
        "artifact_uri": info.artifact_uri,
    }
    row = session.row(SQL.create, values)
    if row is None:
        raise AlreadyExists(f"Run with id={info.run_id} already exists.", fix="Use it, or choose another id.")
    return int(row[0])


def _row(session: Session, run_id: str) -> Row:
    row = session.row(SQL.by_id, {"run_id": run_id})
    if row is None:
        raise absent_run(run_id)
    return row


def _chosen_name(run_name: str | None, tags: Sequence[Tag]) -> str:
    tagged = next((tag.value for tag in tags if tag.key == TAG_RUN_NAME), None)
    if run_name and tagged and run_name != tagged:
        raise InvalidInput(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{run_name}', mlflow.runName='{tagged}').",
            fix="Give one of them.",
        )
    name = run_name or tagged or new_run_name()
    limits.check_length("run_name", name, limits.MAX_VALUE_CHARS)
    return name


def _info(row: Row) -> RunInfo:
    return RunInfo(
        run_id=row[1],
        run_name=row[2],
        experiment_id=str(row[3]),
        user_id=row[4],
        status=RunStatus(row[5]),
        start_time_ms=row[6],
        end_time_ms=row[7],
        artifact_uri=row[8],
        lifecycle_stage=LifecycleStage(row[9]),
    )


def _with_data(session: Session, rows: Sequence[Row]) -> list[RunRow]:
    """The runs of ``rows`` with what they logged: one query, however many runs, and two more where there are links."""
    found = {row[0]: RunRow(row, [], [], [], Links()) for row in rows}
    if not found:
        return []
    linked: set[int] = set()
    for part, number, key, value, is_nan, timestamp_ms, step, content in session.rows(
        SQL.logged, {"run_nos": list(found)}
    ):
        run = found[number]
        if part == 0:
            run.metrics.append((key, NAN if is_nan else value, timestamp_ms, step))
        elif part == 1:
            run.params.append((key, content))
        elif part == 2:
            run.tags.append((key, content))
        else:
            linked.add(number)
    links = read_links(session, sorted(linked)) if linked else {}
    return [replace(run, links=links[number]) if number in links else run for number, run in found.items()]


def run_of(row: RunRow) -> Run:
    """The entity of a stored run."""
    metrics = tuple(
        Metric(key=key, value=value, timestamp_ms=time, step=step) for key, value, time, step in row.metrics
    )
    params = tuple(Param(key=key, value=value) for key, value in row.params)
    tags = tuple(Tag(key=key, value=value) for key, value in row.tags)
    return Run(
        info=_info(row.info),
        data=RunData(metrics=metrics, params=params, tags=tags),
        dataset_inputs=row.links.datasets,
        model_inputs=row.links.model_inputs,
        model_outputs=row.links.model_outputs,
    )
