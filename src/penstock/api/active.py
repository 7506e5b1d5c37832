"""What is going on in this process: the chosen experiment, and each thread's stack of open runs."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import TracebackType

from penstock.api.chosen import chosen
from penstock.api.client import MlflowClient
from penstock.api.connection import connect
from penstock.api.offline import find_or_make_experiment
from penstock.api.views import ExperimentView, RunView, view_experiment
from penstock.ground.errors import InvalidInput, NotFound, Unavailable
from penstock.store.experiments import DEFAULT_NAME


class ActiveRun(RunView, frozen=True, kw_only=True):
    """A run that is open; as a context manager it ends with the block: FINISHED, or FAILED when the block raised."""

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_run("FINISHED" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED")


class _Stack(threading.local):
    def __init__(self) -> None:
        self.runs: list[ActiveRun] = []
        self.last: str | None = None


_stack = _Stack()


def client() -> MlflowClient:
    """A client for the places in force."""
    return MlflowClient()


def open_runs() -> list[ActiveRun]:
    """This thread's open runs, the innermost last."""
    return _stack.runs


def last_run_id() -> str | None:
    """The run that is open, else the one that this thread ended last."""
    return _stack.runs[-1].info.run_id if _stack.runs else _stack.last


def end_run(status: str = "FINISHED") -> None:
    """Ends the innermost open run, after everything logged to it has been kept; without one it does nothing."""
    if not _stack.runs:
        return
    run = _stack.runs.pop()
    _stack.last = run.info.run_id
    os.environ.pop("MLFLOW_RUN_ID", None)
    client().set_terminated(run.info.run_id, status)


def current_experiment_id() -> str:
    """The experiment that new runs go to: chosen, from the environment, else 'Default'. Raises NotFound."""
    if chosen.experiment_id is not None:
        return chosen.experiment_id
    given = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if given:
        return given
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if name:
        return ensure_experiment(name).experiment_id
    if not connect().recorder.caught_up():
        return ensure_experiment(DEFAULT_NAME).experiment_id
    try:
        default = client().get_experiment_by_name(DEFAULT_NAME)
    except Unavailable:
        return ensure_experiment(DEFAULT_NAME).experiment_id
    if default is None:
        raise NotFound("There is no experiment 'Default' here.", fix="Choose one: set_experiment('name').")
    return default.experiment_id


def ensure_experiment(name: str) -> ExperimentView:
    """The experiment of that name, made if it was not there. Raises InvalidInput when it is deleted."""
    return active_only(view_experiment(find_or_make_experiment(connect(), name)))


def active_only(experiment: ExperimentView) -> ExperimentView:
    """``experiment``, if it is not deleted. Raises InvalidInput."""
    if experiment.lifecycle_stage != "active":
        raise InvalidInput(
            f"The experiment {experiment.name!r} is deleted.",
            fix=f"Restore it (MlflowClient().restore_experiment('{experiment.experiment_id}')) or choose another name.",
        )
    return experiment


def _end_all() -> None:
    """At exit: runs left open end, as failed when the program did."""
    status = "FAILED" if getattr(sys, "last_value", None) is not None else "FINISHED"
    while _stack.runs:
        end_run(status)


# Registered after the connections' own, so that it runs before them.
atexit.register(_end_all)
