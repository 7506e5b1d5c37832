"""What a program asked of a server that was away, as values that wait on disk: runs, files and models to be made.

Runs and logged models are named here. A Penstock server takes those ids; a stock one makes its own, and what follows is
sent under those (see identities).
"""

from __future__ import annotations

from msgspec import Struct

from penstock.ground.entities import DatasetInput, LoggedModelStatus, ModelInput, ModelOutput, Param, Tag


class EnsureExperiment(Struct, frozen=True, kw_only=True, tag="ensure_experiment"):
    """An experiment by name; ``experiment_id`` stands for the id that the server has or makes."""

    experiment_id: str
    name: str


class StartRun(Struct, frozen=True, kw_only=True, tag="start_run"):
    """A run to be made."""

    run_id: str
    experiment_id: str
    run_name: str
    start_time_ms: int
    user_id: str
    tags: tuple[Tag, ...] = ()


class LogInputs(Struct, frozen=True, kw_only=True, tag="log_inputs"):
    """Datasets and models that a run read."""

    run_id: str
    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[ModelInput, ...] = ()


class LogOutputs(Struct, frozen=True, kw_only=True, tag="log_outputs"):
    """Models that a run made."""

    run_id: str
    models: tuple[ModelOutput, ...] = ()


class LogFile(Struct, frozen=True, kw_only=True, tag="log_file"):
    """An artifact of the run, or of the logged model if ``model_id`` is given; ``file`` lies beside the spool."""

    path: str
    file: str
    run_id: str = ""
    model_id: str = ""


class StartModel(Struct, frozen=True, kw_only=True, tag="start_model"):
    """A logged model to be made."""

    model_id: str
    experiment_id: str
    name: str
    run_id: str
    model_type: str | None = None
    params: tuple[Param, ...] = ()
    tags: tuple[Tag, ...] = ()


class FinishModel(Struct, frozen=True, kw_only=True, tag="finish_model"):
    """A logged model's status once its files are there."""

    model_id: str
    status: LoggedModelStatus


class RegisterModel(Struct, frozen=True, kw_only=True, tag="register_model"):
    """A logged model to become the next version of the registered model ``name``."""

    name: str
    model_id: str
    run_id: str


Absent = EnsureExperiment | StartRun | LogInputs | LogOutputs | LogFile | StartModel | FinishModel | RegisterModel
