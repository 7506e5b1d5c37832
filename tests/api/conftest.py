"""A fresh tracking store in a fresh state directory, forgotten after the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.api.active import end_run, open_runs
from penstock.api.chosen import chosen
from penstock.api.connection import disconnect_all

VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "PENSTOCK_TRACKING_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
)


@pytest.fixture
def tracking(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state directory of an empty store, in force for the fluent functions."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    chosen.reset()
    yield state_dir
    while open_runs():
        end_run()
    disconnect_all()
    chosen.reset()
