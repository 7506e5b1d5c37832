"""The models room: the MLmodel folder, flavors, signatures. MLflow's notebooks import a few names from here, lazily."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "infer_signature": "penstock.models.signature",
    "set_model": "penstock.models.python_model",
}


def __getattr__(name: str) -> Any:
    """``infer_signature`` and ``set_model``, as in ``from penstock.models import infer_signature``."""
    if name not in _NAMES:
        raise AttributeError(f"module 'penstock.models' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
