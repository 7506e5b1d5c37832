"""Runs as a person would list them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from penstock.api.searching import search_experiments, search_runs
from penstock.api.views import RunView
from penstock.ground.entities import ViewType
from penstock.ground.wire import write_double


class ShownRun(Struct, frozen=True, kw_only=True):
    """One run; times are milliseconds since the Unix epoch. NaN and infinities are texts: JSON has no such numbers."""

    run_id: str
    name: str
    experiment: str
    status: str
    start_time: int | None
    end_time: int | None
    metrics: dict[str, float | str]
    params: dict[str, str]
    artifact_uri: str


def list_runs(
    *,
    experiment_names: Sequence[str] = (),
    filter_string: str = "",
    order_by: Sequence[str] = (),
    limit: int = 20,
    deleted: bool = False,
) -> list[ShownRun]:
    """The runs that match, the latest started first unless ``order_by`` says otherwise. Raises NotFound for a name."""
    names = {each.experiment_id: each.name for each in search_experiments(ViewType.ALL)}
    found = search_runs(
        experiment_names=list(experiment_names),
        experiment_ids=[] if experiment_names else list(names),
        filter_string=filter_string,
        run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
        order_by=list(order_by),
        max_results=limit,
        output_format="list",
    )
    return [_shown(run, names) for run in found if isinstance(run, RunView)]


def _shown(run: RunView, names: dict[str, str]) -> ShownRun:
    return ShownRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        experiment=names.get(run.info.experiment_id, run.info.experiment_id),
        status=run.info.status,
        start_time=run.info.start_time,
        end_time=run.info.end_time,
        metrics={key: write_double(value) for key, value in run.data.metrics.items()},
        params=run.data.params,
        artifact_uri=run.info.artifact_uri,
    )
