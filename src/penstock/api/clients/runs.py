"""The client's runs: what is logged goes through the recorder, what is read sees all of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.api import names
from penstock.api.clients.base import ClientPart
from penstock.api.offline import start_run
from penstock.api.paging import PagedList, every, viewed
from penstock.api.recording.absent import LogInputs, LogOutputs, StartRun
from penstock.api.recording.operations import LogBatch, Operation, UpdateRun
from penstock.api.source import user_name
from penstock.api.values import metrics_of, params_of, tags_of, view_of
from penstock.api.views import MetricView, RunView, view_metric, view_run
from penstock.ground.clock import SYSTEM_CLOCK
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
from penstock.ground.names import new_run_id
from penstock.store.run_names import new_run_name

HISTORY_PAGE = 25_000


class RunsClient(ClientPart):
    """Create, log to, read, change and search runs, by MLflow's names and argument order."""

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> RunView:
        """The new run, RUNNING since ``start_time`` (milliseconds; by default now).

        While the server is away the run waits on disk with all that is logged to it, and a warning says so.
        """
        values = dict(tags or {})
        start = StartRun(
            run_id=new_run_id(),
            experiment_id=str(experiment_id),
            run_name=str(run_name or values.get(names.RUN_NAME) or new_run_name()),
            start_time_ms=start_time or SYSTEM_CLOCK.now_ms(),
            user_id=str(values.get(names.USER) or user_name()),
            tags=tags_of(values),
        )
        return view_run(start_run(self._connection, start))

    def get_run(self, run_id: str) -> RunView:
        """The run with the latest value of each metric. Raises NotFound."""
        return view_run(self._connection.tracking.get_run(run_id))

    def get_parent_run(self, run_id: str) -> RunView | None:
        """The run that this one is nested in, or None."""
        parent = self.get_run(run_id).data.tags.get(names.PARENT_RUN_ID)
        return self.get_run(parent) if parent else None

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RunView]:
        """One page of the runs that match, the latest started first unless ``order_by`` says otherwise."""
        page = self._connection.tracking.search_runs(
            [str(each) for each in experiment_ids],
            filter=filter_string or "",
            view=view_of(run_view_type),
            order_by=order_by or (),
            limit=max_results,
            page_token=page_token,
        )
        return viewed(page, view_run)

    def get_metric_history(self, run_id: str, key: str) -> list[MetricView]:
        """Every point of the metric, by time, step and value."""
        tracking = self._connection.tracking
        points = every(
            lambda size, token: tracking.metric_history(run_id, key, limit=size, page_token=token),
            limit=None,
            page_size=HISTORY_PAGE,
        )
        return [view_metric(point) for point in points]

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
    ) -> None:
        """Records one point. Raises InvalidInput for a key or value that no store would take."""
        dataset = (dataset_name, dataset_digest or "") if dataset_name else None
        now_ms = timestamp if timestamp is not None else SYSTEM_CLOCK.now_ms()
        points = metrics_of({key: value}, step=step, timestamp_ms=now_ms, model_id=model_id, dataset=dataset)
        self.log_batch(run_id, metrics=points, synchronous=synchronous)

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """``value``, recorded as text."""
        self.log_batch(run_id, params=params_of({key: value}), synchronous=synchronous)
        return value

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        """Records the tag, replacing an earlier value."""
        self.log_batch(run_id, tags=tags_of({key: value}), synchronous=synchronous)

    def log_batch(
        self,
        run_id: str,
        metrics: Iterable[Metric | MetricView] = (),
        params: Iterable[Param] = (),
        tags: Iterable[Tag] = (),
        synchronous: bool | None = None,
    ) -> None:
        """Queues the values and returns; with ``synchronous`` returns once they are kept, or raises why not."""
        recorder = self._connection.recorder
        points = tuple(each if isinstance(each, Metric) else _metric(each) for each in metrics)
        recorder.record(LogBatch(run_id=run_id, metrics=points, params=tuple(params), tags=tuple(tags)))
        if synchronous:
            recorder.flush()

    def delete_tag(self, run_id: str, key: str) -> None:
        """Removes one tag. Raises NotFound."""
        self._connection.tracking.delete_tag(run_id, key)

    def log_inputs(
        self, run_id: str, datasets: Sequence[DatasetInput] | None = None, models: Sequence[ModelInput] | None = None
    ) -> None:
        """Links datasets and logged models to the run as what it read."""
        self._record_now(LogInputs(run_id=run_id, datasets=tuple(datasets or ()), models=tuple(models or ())))

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Links logged models to the run as what it made."""
        self._record_now(LogOutputs(run_id=run_id, models=tuple(models)))

    def _record_now(self, operation: Operation) -> None:
        """Returns once the operation has arrived, or waits on disk because the server is away."""
        recorder = self._connection.recorder
        recorder.record(operation)
        recorder.flush()

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Changes the run's status or name."""
        self._connection.tracking.update_run(run_id, status=_status(status) if status else None, run_name=name)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """Ends the run (FINISHED by default), after everything that was recorded for it.

        While the server is away this is recorded too, and sent with the rest.
        """
        ended_ms = end_time if end_time is not None else SYSTEM_CLOCK.now_ms()
        recorder = self._connection.recorder
        recorder.record(UpdateRun(run_id=run_id, status=_status(status or "FINISHED"), end_time_ms=ended_ms))
        recorder.flush()

    def delete_run(self, run_id: str) -> None:
        """Marks the run as deleted; ``restore_run`` brings it back and ``penstock gc`` takes it for good."""
        self._connection.tracking.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        """Brings a deleted run back."""
        self._connection.tracking.restore_run(run_id)


def _metric(view: MetricView) -> Metric:
    dataset = (view.dataset_name, view.dataset_digest or "") if view.dataset_name else None
    return metrics_of(
        {view.key: view.value},
        step=view.step,
        timestamp_ms=view.timestamp,
        model_id=view.model_id,
        dataset=dataset,
    )[0]


def _status(text: str) -> RunStatus:
    try:
        return RunStatus(text)
    except ValueError:
        known = ", ".join(RunStatus)
        raise InvalidInput(f"{text!r} is not a run's status.", fix=f"Use one of {known}.") from None
