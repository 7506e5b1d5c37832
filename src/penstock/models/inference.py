"""The schema of a piece of data: frames and lists become columns, arrays and tensors become tensors."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from penstock.ground.errors import InvalidInput
from penstock.models.schema import (
    AnyType,
    Array,
    Column,
    ColumnType,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    Tensor,
)

_SCALARS: tuple[tuple[type | tuple[type, ...], DataType], ...] = (
    ((bool, np.bool_), DataType.BOOLEAN),
    ((np.int32,), DataType.INTEGER),
    ((int, np.int64), DataType.LONG),
    ((np.float32,), DataType.FLOAT),
    ((float, np.float64), DataType.DOUBLE),
    ((str, np.str_), DataType.STRING),
    ((bytes, np.bytes_, bytearray), DataType.BINARY),
    ((datetime.datetime, datetime.date, np.datetime64), DataType.DATETIME),
)


def infer_schema(data: Any) -> Schema:
    """The schema of ``data``. Raises InvalidInput when it holds a type that no schema can name."""
    if is_frame(data):
        return Schema.of(_series_column(data[name], name) for name in data.columns)
    if is_series(data):
        return Schema.of([_series_column(data, data.name)])
    if is_tensor(data):
        return Schema.of([_tensor(data)])
    if isinstance(data, Mapping):
        return _mapping_schema(data)
    if isinstance(data, list):
        return _list_schema(data)
    return Schema.of([Column(infer_type(data))])


def is_frame(data: Any) -> bool:
    """Whether ``data`` is a pandas DataFrame, told without importing pandas."""
    return _is_pandas(data, "DataFrame")


def is_series(data: Any) -> bool:
    return _is_pandas(data, "Series")


def is_sparse(data: Any) -> bool:
    return type(data).__module__.startswith("scipy.sparse") and hasattr(data, "toarray")


def is_tensor(data: Any) -> bool:
    """Whether ``data`` is an array: numpy's, scipy's sparse ones, or a PyTorch or TensorFlow tensor."""
    return isinstance(data, np.ndarray) or is_sparse(data) or _is_foreign_tensor(data)


def as_array(data: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """The numpy array of an array or a tensor of PyTorch or TensorFlow (detached, on the CPU)."""
    for method in ("detach", "cpu"):
        data = getattr(data, method)() if hasattr(data, method) else data
    return data.numpy() if hasattr(data, "numpy") else np.asarray(data)


def _is_foreign_tensor(data: Any) -> bool:
    root = type(data).__module__.partition(".")[0]
    return root in ("torch", "tensorflow", "jax", "jaxlib") and hasattr(data, "shape")


def _is_pandas(data: Any, name: str) -> bool:
    return any(base.__name__ == name and base.__module__.partition(".")[0] == "pandas" for base in type(data).__mro__)


def _tensor(data: Any, name: str | None = None) -> Tensor:
    array = data.data if is_sparse(data) else as_array(data)
    if array.ndim == 0 and not is_sparse(data):
        raise InvalidInput("A single number is not a tensor.", fix="Pass an array with at least one axis.")
    dtype = {"U": "str", "S": "bytes"}.get(array.dtype.char, array.dtype.name)
    return Tensor(dtype, (-1, *(int(n) for n in data.shape[1:])), name)


def _mapping_schema(data: Mapping[Any, Any]) -> Schema:
    if data and all(is_tensor(value) for value in data.values()):
        return Schema.of(_tensor(value, name) for name, value in data.items())
    if not all(isinstance(name, str) for name in data):
        raise InvalidInput("A dict's names must be text.", fix="Use text as the keys of the input.")
    return Schema.of(Column(infer_type(value), name, not _has_missing(value)) for name, value in data.items())


def _list_schema(data: list[Any]) -> Schema:
    if not data:
        return Schema.of([Column(DataType.STRING)])
    if not all(isinstance(row, Mapping) for row in data):
        return Schema.of([Column(_item_type(data))])
    names = list(dict.fromkeys(name for row in data for name in row))
    return Schema.of(
        Column(
            _item_type([row[name] for row in data if name in row]),
            name,
            all(row.get(name) is not None for row in data),
        )
        for name in names
    )


def _series_column(series: Any, name: Any) -> Column:
    label = name if name is None or isinstance(name, str) else _number_name(name)
    return Column(_series_type(series), label, not bool(series.isna().any()))


def _number_name(name: Any) -> int | str:
    return int(name) if isinstance(name, int | np.integer) else str(name)


def _series_type(series: Any) -> ColumnType:
    if series.dtype.kind == "O":
        series = series.infer_objects()
    if series.dtype.kind != "O":
        return numpy_type(series.dtype)
    return _item_type(series.tolist())


def numpy_type(dtype: Any) -> DataType:
    """The column type of numpy's (or a pandas extension's) type. Raises InvalidInput."""
    size = dtype.itemsize
    match dtype.kind:
        case "b":
            return DataType.BOOLEAN
        case "i" if size <= 8:
            return DataType.INTEGER if size <= 4 else DataType.LONG
        case "u" if size < 8:
            return DataType.INTEGER if size < 4 else DataType.LONG
        case "f" if size <= 8:
            return DataType.FLOAT if size <= 4 else DataType.DOUBLE
        case "U" | "T":
            return DataType.STRING
        case "S":
            return DataType.BINARY
        case "M":
            return DataType.DATETIME
        case "O" if type(dtype).__name__ in ("StringDtype", "CategoricalDtype"):
            return DataType.STRING
    raise InvalidInput(f"The type {dtype} cannot be described.", fix="Convert it to a number, text or a datetime.")


def infer_type(value: Any) -> ColumnType:
    """The column type of one value; the empty and the missing are AnyType, as in MLflow."""
    if _is_missing(value) or (isinstance(value, list | dict) and not value):
        return AnyType()
    if isinstance(value, Mapping):
        properties = [(str(name), infer_type(each)) for name, each in value.items()]
        return Object(tuple(Property(n, t, not isinstance(t, AnyType)) for n, t in sorted(properties, key=_first)))
    if isinstance(value, list | np.ndarray):
        return Array(_item_type(value))
    for classes, kind in _SCALARS:
        if isinstance(value, classes):
            return kind
    raise InvalidInput(
        f"A value of type {type(value).__name__} cannot be described.",
        fix="Use frames, arrays, dicts, lists, numbers, text, bytes or datetimes.",
    )


def _first(pair: tuple[str, ColumnType]) -> str:
    return pair[0]


def _item_type(values: Sequence[Any] | np.ndarray[Any, Any]) -> ColumnType:
    merged: ColumnType | None = None
    for value in values:
        kind = infer_type(value)
        merged = kind if merged is None else _merge(merged, kind)
    if merged is None:
        raise InvalidInput("An empty array has no type to infer.", fix="Give at least one item.")
    return merged


def _merge(left: ColumnType, right: ColumnType) -> ColumnType:
    if left == right or isinstance(right, AnyType):
        return left
    match left, right:
        case AnyType(), _:
            return right
        case Array(a), Array(b):
            return Array(_merge(a, b))
        case Map(a), Map(b):
            return Map(_merge(a, b))
        case Object(a), Object(b):
            return _merge_objects(a, b)
    raise InvalidInput(
        "A list or a column holds values of several types.",
        fix="Make all its values one type, or name it Array(AnyType()).",
    )


def _merge_objects(left: tuple[Property, ...], right: tuple[Property, ...]) -> Object:
    ours, theirs = ({each.name: each for each in side} for side in (left, right))
    merged = []
    for name in sorted(ours | theirs):
        a, b = ours.get(name), theirs.get(name)
        if a and b:
            merged.append(Property(name, _merge(a.type, b.type), a.required and b.required))
        else:
            merged.append(Property(name, (a or b).type, False))  # type: ignore[union-attr]
    return Object(tuple(merged))


def _is_missing(value: Any) -> bool:
    return (
        value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )


def _has_missing(value: Any) -> bool:
    return any(_is_missing(each) for each in value) if isinstance(value, list) else _is_missing(value)


def infer_params(params: Mapping[str, Any]) -> ParamSchema:
    """The schema of inference parameters; each value is its own default. Raises InvalidInput."""
    return ParamSchema(tuple(_param(name, value) for name, value in params.items()))


def _param(name: str, value: Any) -> ParamSpec:
    if isinstance(value, Mapping):
        kind = infer_type(value)
        if isinstance(kind, Object):
            return ParamSpec(name, kind, deepcopy(dict(value)))
    array = np.asarray(value) if not isinstance(value, datetime.date) else np.asarray(np.datetime64(value))
    if array.ndim > 1 or array.dtype.kind in "OS":
        raise InvalidInput(f"The parameter {name!r} is neither a single value nor a flat list of one type.")
    default = value if isinstance(value, datetime.date) else array.tolist()
    return ParamSpec(name, numpy_type(array.dtype), default, (-1,) if array.ndim == 1 else None)
