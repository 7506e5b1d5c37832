"""What a request asks of the model, free of the format it came in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Dialect(StrEnum):
    """How the answer is dressed as JSON: ``{"predictions": ...}``, or the bare value as MLflow 1.x gave it."""

    WRAPPED = "wrapped"
    BARE = "bare"


class Payload(Struct):
    """A table (``rows`` under ``names``, or in the model's order) or any other ``value``, and the parameters.

    ``rows`` are lists of loosely typed values, or an array of shape (n_rows, n_columns).
    """

    rows: Any = None
    names: tuple[Any, ...] | None = None
    value: Any = None
    params: Mapping[str, Any] | None = None
    dialect: Dialect = Dialect.WRAPPED
