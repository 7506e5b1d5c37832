"""The artifacts room: local, S3 and HTTP. MLflow's notebooks use a few names from here, through the front door."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = ("download_artifacts", "list_artifacts", "load_dict", "load_text")


def __getattr__(name: str) -> Any:
    """``download_artifacts`` and its sisters, as in ``mlflow.artifacts.download_artifacts``."""
    if name not in _NAMES:
        raise AttributeError(f"module 'penstock.artifacts' has no attribute {name!r}")
    return getattr(import_module("penstock"), name)
