"""Opening and ending runs: MLflow's start_run and what goes with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from penstock.api import names
from penstock.api.active import ActiveRun, client, current_experiment_id, last_run_id, open_runs
from penstock.api.source import source_tags
from penstock.api.values import tags_of
from penstock.api.views import RunView
from penstock.ground.entities import RunStatus
from penstock.ground.errors import InvalidInput


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """The run that is now open: a new one, or with ``run_id`` (or MLFLOW_RUN_ID) an earlier one opened again.

    Use it in a ``with``. Raises InvalidInput when a run is open and ``nested`` is false.
    """
    if open_runs() and not nested:
        raise InvalidInput(
            f"The run {open_runs()[-1].info.run_id} is open.", fix="End it with end_run(), or pass nested=True."
        )
    resumed = run_id or (None if open_runs() else os.environ.get("MLFLOW_RUN_ID"))
    if resumed:
        run = _reopened(resumed, tags)
    else:
        given = _new_tags(tags, description, parent_run_id)
        run = client().create_run(experiment_id or current_experiment_id(), tags=given, run_name=run_name)
    active = ActiveRun(info=run.info, data=run.data, inputs=run.inputs, outputs=run.outputs)
    open_runs().append(active)
    return active


def _reopened(run_id: str, tags: Mapping[str, Any] | None) -> RunView:
    run = client().get_run(run_id)
    if run.info.lifecycle_stage != "active":
        raise InvalidInput(f"The run {run_id} is deleted.", fix="Restore it first: MlflowClient().restore_run(run_id).")
    client().update_run(run_id, status=RunStatus.RUNNING)
    if tags:
        client().log_batch(run_id, tags=tags_of(tags), synchronous=True)
    return client().get_run(run_id)


def _new_tags(tags: Mapping[str, Any] | None, description: str | None, parent_run_id: str | None) -> dict[str, Any]:
    parent = parent_run_id or (open_runs()[-1].info.run_id if open_runs() else None)
    given = {**source_tags(), **(tags or {})}
    if parent:
        given[names.PARENT_RUN_ID] = parent
    if description:
        given[names.NOTE] = description
    return given


def active_run() -> ActiveRun | None:
    """This thread's innermost open run, as it was when it was opened."""
    return open_runs()[-1] if open_runs() else None


def last_active_run() -> RunView | None:
    """The run that is open, else the one that this thread ended last, as it is now."""
    run_id = last_run_id()
    return client().get_run(run_id) if run_id else None


def run_in_force(run_id: str | None = None) -> str:
    """``run_id``, else the id of the open run, which is started if there is none."""
    return run_id or (open_runs()[-1] if open_runs() else start_run()).info.run_id
