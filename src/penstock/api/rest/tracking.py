"""Tracking over the wire: the methods of the store's TrackingStore that the client uses."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.api.rest.wire import Wire, read_page
from penstock.ground.entities import (
    DatasetInput,
    Experiment,
    Metric,
    ModelInput,
    ModelOutput,
    Page,
    Param,
    Run,
    RunInfo,
    RunStatus,
    Tag,
    ViewType,
)
from penstock.ground.errors import NotFound
from penstock.ground.wire import from_wire

HISTORY_PAGE = 25_000


class RestExperiments:
    """Experiments."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create_experiment(self, name: str, *, artifact_location: str | None = None, tags: Sequence[Tag] = ()) -> str:
        answer = self._wire.post(
            "experiments/create", idempotent=False, name=name, artifact_location=artifact_location, tags=tags
        )
        return str(answer["experiment_id"])

    def get_experiment(self, experiment_id: str) -> Experiment:
        return from_wire(Experiment, self._wire.get("experiments/get", experiment_id=experiment_id)["experiment"])

    def find_experiment_by_name(self, name: str) -> Experiment | None:
        try:
            answer = self._wire.get("experiments/get-by-name", experiment_name=name)
        except NotFound:
            return None
        return from_wire(Experiment, answer["experiment"])

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        self._wire.post("experiments/update", experiment_id=experiment_id, new_name=name)

    def delete_experiment(self, experiment_id: str) -> None:
        self._wire.post("experiments/delete", idempotent=False, experiment_id=experiment_id)

    def restore_experiment(self, experiment_id: str) -> None:
        self._wire.post("experiments/restore", idempotent=False, experiment_id=experiment_id)

    def set_experiment_tag(self, experiment_id: str, tag: Tag) -> None:
        self._wire.post("experiments/set-experiment-tag", experiment_id=experiment_id, key=tag.key, value=tag.value)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        self._wire.post("experiments/delete-experiment-tag", idempotent=False, experiment_id=experiment_id, key=key)

    def search_experiments(
        self,
        *,
        filter: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        limit: int = 1000,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        answer = self._wire.post(
            "experiments/search",
            filter=filter or None,
            view_type=view,
            order_by=list(order_by),
            max_results=limit,
            page_token=page_token,
        )
        return read_page(Experiment, answer, "experiments")


class RestRuns:
    """Runs, what they log, read and make."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

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
        answer = self._wire.post(
            "runs/create",
            idempotent=False,
            experiment_id=experiment_id,
            run_name=run_name,
            start_time=start_time_ms,
            user_id=user_id,
            tags=tags,
            run_id=run_id,
        )
        return from_wire(Run, answer["run"])

    def get_run(self, run_id: str) -> Run:
        return from_wire(Run, self._wire.get("runs/get", run_id=run_id, run_uuid=run_id)["run"])

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        answer = self._wire.post(
            "runs/update",
            run_id=run_id,
            run_uuid=run_id,
            status=status,
            end_time=end_time_ms,
            run_name=run_name,
        )
        return from_wire(RunInfo, answer["run_info"])

    def delete_run(self, run_id: str) -> None:
        self._wire.post("runs/delete", idempotent=False, run_id=run_id)

    def restore_run(self, run_id: str) -> None:
        self._wire.post("runs/restore", idempotent=False, run_id=run_id)

    def delete_tag(self, run_id: str, key: str) -> None:
        self._wire.post("runs/delete-tag", idempotent=False, run_id=run_id, key=key)

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
        answer = self._wire.post(
            "runs/search",
            experiment_ids=list(experiment_ids),
            filter=filter or None,
            run_view_type=view,
            order_by=list(order_by),
            max_results=limit,
            page_token=page_token,
        )
        return read_page(Run, answer, "runs")

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[Tag] = (),
    ) -> None:
        self._wire.post("runs/log-batch", run_id=run_id, metrics=metrics, params=params, tags=tags)

    def metric_history(
        self, run_id: str, key: str, *, limit: int = HISTORY_PAGE, page_token: str | None = None
    ) -> Page[Metric]:
        answer = self._wire.get(
            "metrics/get-history",
            run_id=run_id,
            run_uuid=run_id,
            metric_key=key,
            max_results=min(limit, HISTORY_PAGE),
            page_token=page_token,
        )
        return read_page(Metric, answer, "metrics")

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[ModelInput] = ()
    ) -> None:
        self._wire.post("runs/log-inputs", run_id=run_id, datasets=datasets, models=models)

    def log_outputs(self, run_id: str, *, models: Sequence[ModelOutput]) -> None:
        self._wire.post("runs/outputs", run_id=run_id, models=models)
