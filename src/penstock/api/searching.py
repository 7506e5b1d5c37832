"""The fluent functions that read: experiments, runs and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.api.active import client, current_experiment_id
from penstock.api.connection import connect
from penstock.api.frames import runs_frame
from penstock.api.paging import every
from penstock.api.values import view_of
from penstock.api.views import ExperimentView, RunView, view_experiment, view_run
from penstock.ground.entities import ViewType
from penstock.ground.errors import InvalidInput, NotFound
from penstock.ground.names import near

if TYPE_CHECKING:
    import pandas

_PAGE = 10_000


def create_experiment(name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None) -> str:
    """The new experiment's id. Raises AlreadyExists."""
    return client().create_experiment(name, artifact_location, tags)


def get_experiment(experiment_id: str) -> ExperimentView:
    """The experiment, deleted ones too. Raises NotFound."""
    return client().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> ExperimentView | None:
    """The experiment of that name, deleted ones too, or None."""
    return client().get_experiment_by_name(name)


def delete_experiment(experiment_id: str) -> None:
    """Marks the experiment and its runs as deleted."""
    client().delete_experiment(experiment_id)


def set_experiment_tag(key: str, value: Any) -> None:
    """Sets one tag of the experiment in force."""
    client().set_experiment_tag(current_experiment_id(), key, value)


def set_experiment_tags(tags: dict[str, Any]) -> None:
    """Sets every tag of the dictionary on the experiment in force."""
    for key, value in tags.items():
        set_experiment_tag(key, value)


def search_experiments(
    view_type: int | str = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: list[str] | None = None,
) -> list[ExperimentView]:
    """All experiments that match, newest first unless ``order_by`` says otherwise."""
    tracking = connect().tracking
    found = every(
        lambda size, token: tracking.search_experiments(
            filter=filter_string or "",
            view=view_of(view_type),
            order_by=order_by or (),
            limit=size,
            page_token=token,
        ),
        limit=max_results,
        page_size=1000,
    )
    return [view_experiment(experiment) for experiment in found]


def get_run(run_id: str) -> RunView:
    """The run with the latest value of each metric. Raises NotFound."""
    return client().get_run(run_id)


def get_parent_run(run_id: str) -> RunView | None:
    """The run that this one is nested in, or None."""
    return client().get_parent_run(run_id)


def delete_run(run_id: str) -> None:
    """Marks the run as deleted."""
    client().delete_run(run_id)


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int | str = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: list[str] | None = None,
    output_format: str | None = None,
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> list[RunView] | pandas.DataFrame:
    """The runs that match: a pandas frame ("pandas"), or a list of runs ("list").

    Without ``output_format`` it is a frame; columns are run_id, experiment_id, status, artifact_uri, start_time,
    end_time, and ``metrics.<key>``, ``params.<key>``, ``tags.<key>``. By default it searches the experiment in force.
    """
    if output_format not in (None, "pandas", "list"):
        raise InvalidInput(f"{output_format!r} is not an output format.", fix="Use 'pandas' or 'list'.")
    ids = _experiments(experiment_ids, experiment_names, all_of_them=search_all_experiments)
    tracking = connect().tracking
    found = every(
        lambda size, token: tracking.search_runs(
            ids,
            filter=filter_string or "",
            view=view_of(run_view_type),
            order_by=order_by or (),
            limit=size,
            page_token=token,
        ),
        limit=max_results,
        page_size=_PAGE,
    )
    runs = [view_run(run) for run in found]
    return runs if output_format == "list" else runs_frame(runs)


def _experiments(ids: Sequence[str] | None, wanted: Sequence[str] | None, *, all_of_them: bool) -> list[str]:
    if ids and wanted:
        raise InvalidInput("Experiments are chosen by ids or by names.", fix="Give one of the two.")
    if wanted:
        return [_by_name(name).experiment_id for name in wanted]
    if ids:
        return [str(each) for each in ids]
    if all_of_them:
        return [each.experiment_id for each in search_experiments(ViewType.ACTIVE_ONLY)]
    return [current_experiment_id()]


def _by_name(name: str) -> ExperimentView:
    found = client().get_experiment_by_name(name)
    if found is None:
        known = [each.name for each in search_experiments(ViewType.ACTIVE_ONLY)]
        raise NotFound(f"There is no experiment {name!r}.{near(name, known)}", fix="Check the name.")
    return found
