"""Penstock takes a model from an MLflow notebook to a live, watched, removable endpoint.

``import penstock as mlflow`` runs the common notebook. The front door is lazy: a name is imported from the
room that defines it when it is first used, so that ``import penstock`` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from penstock.doors import DOORS
from penstock.ground.version import __version__ as __version__

__all__ = sorted([*DOORS, "__version__"])


def __getattr__(name: str) -> Any:
    """The public object called ``name``, imported from its room on first use."""
    room = DOORS.get(name)
    if room is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    module = import_module(room)
    value = module if name in (room.rpartition(".")[2], "tracking") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
