"""Checking the parameters of a prediction against the signature's."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.ground.errors import InvalidInput
from penstock.ground.names import near
from penstock.models.schema import DataType, Object, ParamSchema, ParamSpec, type_text

_KINDS: dict[DataType, tuple[type, ...]] = {
    DataType.BOOLEAN: (bool, np.bool_),
    DataType.INTEGER: (int, np.integer),
    DataType.LONG: (int, np.integer),
    DataType.FLOAT: (int, float, np.integer, np.floating),
    DataType.DOUBLE: (int, float, np.integer, np.floating),
    DataType.STRING: (str, np.str_),
}
_PYTHON: dict[DataType, type] = {
    DataType.BOOLEAN: bool,
    DataType.INTEGER: int,
    DataType.LONG: int,
    DataType.FLOAT: float,
    DataType.DOUBLE: float,
    DataType.STRING: str,
}


def checked_params(schema: ParamSchema | None, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The parameters with defaults filled in, each of its type; None where the model takes none.

    Unknown names are warned about and left out, as in MLflow. Raises InvalidInput for a value of the wrong type.
    """
    given = dict(params or {})
    known = {} if schema is None else {spec.name: spec for spec in schema.params}
    unknown = [name for name in given if name not in known]
    if unknown:
        text = f"Parameters that the model does not declare are ignored: {unknown}.{near(unknown[0], list(known))}"
        warnings.warn(text, stacklevel=3)
    if schema is None:
        return None
    return {name: _checked(spec, given[name]) if name in given else spec.default for name, spec in known.items()}


def _checked(spec: ParamSpec, value: Any) -> Any:
    if spec.shape is None:
        return _single(spec, value)
    if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1:
        raise InvalidInput(f"The parameter {spec.name!r} is a flat list.", fix=f"Send e.g. {spec.default!r}.")
    return [_single(spec, each) for each in value]


def _single(spec: ParamSpec, value: Any) -> Any:
    if value is None:
        return None
    kind = spec.type
    if isinstance(kind, Object):
        if isinstance(value, Mapping):
            return dict(value)
    elif kind is DataType.DATETIME:
        return _moment(spec, value)
    elif isinstance(value, _KINDS[kind]) and (kind is DataType.BOOLEAN or not isinstance(value, bool | np.bool_)):
        return _PYTHON[kind](value)
    raise InvalidInput(
        f"The parameter {spec.name!r}: expected {type_text(kind)}, got {value!r}.", fix=f"Send e.g. {spec.default!r}."
    )


def _moment(spec: ParamSpec, value: Any) -> Any:
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"The parameter {spec.name!r}: expected datetime, got {value!r}.") from None
