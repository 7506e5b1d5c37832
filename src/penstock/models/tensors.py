"""Checking arrays, lists and dicts against a schema of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.ground.errors import InvalidInput
from penstock.ground.names import near
from penstock.models.columns import NdArray, lossless
from penstock.models.inference import as_array, is_frame, is_series, is_sparse, is_tensor
from penstock.models.schema import Schema, Tensor


def checked_tensors(schema: Schema, data: Any) -> Any:
    """``data`` as the schema's array, or as a dict of its arrays by name. Raises InvalidInput.

    Lists are converted to the stated type; arrays are converted only where no value changes.
    """
    specs = schema.tensors
    if len(specs) == 1 and specs[0].name is None:
        return _checked(specs[0], _single(data))
    if len(specs) == 1 and not isinstance(data, Mapping) and not is_frame(data):
        data = {specs[0].name: data}
    if not isinstance(data, Mapping) and not is_frame(data):
        raise InvalidInput(f"The model takes {len(specs)} named arrays.", fix=f"Send a dict of {_names(specs)}.")
    given = [str(name) for name in data]
    missing = [spec for spec in specs if spec.name not in data]
    if missing:
        near_names = near(str(missing[0].name), given)
        raise InvalidInput(f"The input lacks the array {missing[0].name!r}.{near_names}", fix=f"Send {_names(specs)}.")
    return {spec.name: _checked(spec, _single(data[spec.name])) for spec in specs}


def _names(specs: tuple[Tensor, ...]) -> str:
    return ", ".join(f"{spec.name!r} ({_text(spec)})" for spec in specs)


def _text(spec: Tensor) -> str:
    return f"{spec.dtype} of shape {spec.shape}"


def _single(data: Any) -> Any:
    if is_frame(data):
        return data.to_numpy()
    if is_series(data):
        values = data.tolist()
        return np.asarray(values) if values and isinstance(values[0], list | np.ndarray) else data.to_numpy()
    return data if is_sparse(data) or not is_tensor(data) else as_array(data)


def _checked(spec: Tensor, data: Any) -> Any:
    if is_sparse(data):
        _check_shape(spec, data.shape)
        return data
    array = data if isinstance(data, np.ndarray) else _from_list(spec, data)
    if array.dtype == np.object_ and (spec.dtype == "object" or -1 in spec.shape[1:]):
        return array  # a ragged array, whose inner shapes no specification can state
    _check_shape(spec, array.shape)
    wanted = np.dtype(spec.dtype)
    if wanted.kind in "USO" and array.dtype.kind in "USOT":
        return array
    if not lossless(array.ravel(), wanted):
        raise InvalidInput(f"{_label(spec)}: expected {_text(spec)}, got {array.dtype}.", fix="Convert it first.")
    return array.astype(wanted, copy=False)


def _from_list(spec: Tensor, data: Any) -> NdArray:
    wanted = np.dtype(spec.dtype)
    try:
        array = np.asarray(data)
    except ValueError:
        raise InvalidInput(f"{_label(spec)}: the lists have several lengths.", fix=f"Send {_text(spec)}.") from None
    if array.dtype.kind == "O" and wanted.kind == "f":
        array = _with_nan(spec, array)
    if array.size == 0 and array.ndim < len(spec.shape):
        return np.empty((0, *(max(n, 0) for n in spec.shape[1:])), wanted)
    fits = array.dtype.kind == "f" and wanted.kind in "iu" and bool((array == np.trunc(array)).all())
    if array.dtype.kind in "biuf" and (
        wanted.kind == "f" or fits or (array.dtype.kind in "iu" and wanted.kind in "iu")
    ):
        return array.astype(wanted)
    return array


def _with_nan(spec: Tensor, array: NdArray) -> NdArray:
    flat = [float("nan") if value is None else value for value in array.ravel()]
    if not all(isinstance(value, int | float) for value in flat):
        odd = next(value for value in flat if not isinstance(value, int | float))
        raise InvalidInput(f"{_label(spec)}: expected {_text(spec)}, got {odd!r}.", fix="Send numbers or null.")
    return np.asarray(flat).reshape(array.shape)


def _check_shape(spec: Tensor, shape: tuple[int, ...]) -> None:
    fits = len(shape) == len(spec.shape) and all(w in (-1, n) for w, n in zip(spec.shape, shape, strict=True))
    if not fits:
        raise InvalidInput(f"{_label(spec)}: expected {_text(spec)}, got shape {shape}.", fix="Reshape it.")


def _label(spec: Tensor) -> str:
    return "The input" if spec.name is None else f"The array {spec.name!r}"
