"""Autologging: libraries record their own training to the open run, under the keys MLflow's autologging uses."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from msgspec import Struct

from penstock.api.active import end_run
from penstock.api.running import active_run, start_run
from penstock.ground.errors import EnvironmentMismatch, InvalidInput

AUTOLOGGING = "mlflow.autologging"
EXAMPLE_ROWS = 5
MAX_VALUE_LENGTH = 6000
_MODULES = {
    "sklearn": "penstock.api.models_autolog_sklearn",
    "xgboost": "penstock.api.models_autolog_boosting",
    "lightgbm": "penstock.api.models_autolog_boosting",
    "pytorch": "penstock.api.models_autolog_torch",
}


class AutologOptions(Struct, frozen=True, kw_only=True):
    """What is recorded. The names and defaults are MLflow's; ``every_n_steps`` is for PyTorch's loops."""

    log_input_examples: bool = False
    log_model_signatures: bool = True
    log_models: bool = True
    log_datasets: bool = True
    max_tuning_runs: int | None = 5
    serialization_format: str = "cloudpickle"
    registered_model_name: str | None = None
    pos_label: Any = None
    extra_tags: Mapping[str, str] | None = None
    every_n_steps: int = 10


# Accepted because notebooks pass them; here they change nothing.
_IGNORED = {"exclusive", "disable_for_unsupported_versions", "silent", "log_post_training_metrics", "model_format"}


class Hooks:
    """Functions of a library replaced by ones that record, and put back by ``remove``."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Puts ``make(original)`` in the place of ``owner.name``."""
        original = getattr(owner, name)
        self._replaced.append((owner, name, original))
        setattr(owner, name, make(original))

    def remove(self) -> None:
        while self._replaced:
            owner, name, original = self._replaced.pop()
            setattr(owner, name, original)


_hooks: dict[str, Hooks] = {}


def autolog(
    *, flavors: tuple[str, ...] = ("sklearn", "xgboost", "lightgbm"), disable: bool = False, **options: Any
) -> None:
    """From now on training records params, metrics, the model and its signature; ``disable=True`` ends it.

    Libraries that are not installed are left out when several are asked for. Raises InvalidInput for an option that is
    not known, EnvironmentMismatch when the one library that was asked for is missing.
    """
    for flavor in flavors:
        if flavor in _hooks:
            _hooks.pop(flavor).remove()
        if disable:
            continue
        try:
            module = import_module(_MODULES[flavor])
            _hooks[flavor] = module.hooks(flavor, _chosen(options))
        except ImportError as error:
            if len(flavors) == 1:
                raise EnvironmentMismatch(f"{flavor} is not installed.", fix=f"pip install {flavor}.") from error


def _chosen(options: Mapping[str, Any]) -> AutologOptions:
    known = {name: value for name, value in options.items() if name not in _IGNORED}
    unknown = sorted(set(known) - set(AutologOptions.__struct_fields__))
    if unknown:
        raise InvalidInput(
            f"autolog has no option {unknown[0]!r}.", fix=f"It has {', '.join(AutologOptions.__struct_fields__)}."
        )
    return AutologOptions(**known)


class _Training(threading.local):
    inside = False


_training = _Training()


def is_training() -> bool:
    """Whether this thread is inside a training that is being recorded: what it trains inside is part of it."""
    return _training.inside


@contextmanager
def training(flavor: str, options: AutologOptions) -> Iterator[str]:
    """The id of the run that this training is recorded to: the open one, or a new one that ends with the block."""
    _training.inside = True
    own = active_run() is None
    run = active_run() or start_run(tags={AUTOLOGGING: flavor, **(options.extra_tags or {})})
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    finally:
        _training.inside = False
        if own:
            end_run(status)


@contextmanager
def recording(what: str) -> Iterator[None]:
    """Turns a failure to record into a warning that names what is missing: it must not spoil the training."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - any library's failure, told as a warning
        warnings.warn(f"Autologging could not record {what}: {type(error).__name__}: {error}", stacklevel=4)


def as_params(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as text, cut where the store would refuse them."""
    return {name: str(value)[:MAX_VALUE_LENGTH] for name, value in values.items()}
