"""Checking rows and arrays against a schema of columns, with numpy alone: no frame is built."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.ground.errors import InvalidInput
from penstock.ground.names import near
from penstock.models.schema import (
    AnyType,
    Array,
    Column,
    ColumnType,
    DataType,
    Map,
    Object,
    Schema,
    SparkVector,
    type_text,
)

NdArray = np.ndarray[Any, np.dtype[Any]]
_NUMBERS = frozenset({DataType.BOOLEAN, DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE})


def common_dtype(schema: Schema) -> np.dtype[Any] | None:
    """The one numpy type that a table of these columns has, or None where a column is not a number.

    It is the type that numpy gives a frame with these columns: float64 for double and long together.
    """
    kinds = [column.type for column in schema.columns]
    if not kinds or not all(kind in _NUMBERS for kind in kinds):
        return None
    return np.result_type(*(kind.numpy for kind in kinds if isinstance(kind, DataType)))


def places(schema: Schema, given: Sequence[Any] | None, width: int) -> list[int | None]:
    """Where each of the schema's columns is among the ``given`` names (None: by order); None if optional and absent.

    Raises InvalidInput naming the missing columns and the given names that come near.
    """
    if given is None or not schema.has_names:
        if width < len(schema.fields):
            raise InvalidInput(
                f"The input has {width} columns; the model takes {len(schema.fields)}.", fix=_names(schema)
            )
        return list(range(len(schema.fields)))
    index = {name: place for place, name in enumerate(given)}
    missing = [column for column in schema.columns if column.required and column.name not in index]
    if missing:
        raise InvalidInput(_missing_text(missing, given, schema))
    return [index.get(name) for name in schema.names]


def _names(schema: Schema) -> str:
    return f"Send {', '.join(f'{name!r}' for name in schema.names[:20])} in this order."


def _missing_text(missing: list[Column], given: Sequence[Any], schema: Schema) -> str:
    extra = [str(name) for name in given if name not in schema.names]
    parts = [
        f"{column.name!r} ({type_text(column.type)}){near(str(column.name), extra).rstrip('.')}" for column in missing
    ]
    tail = f" Not expected: {', '.join(map(repr, extra[:10]))}." if extra else ""
    plural = "columns" if len(missing) > 1 else "column"
    return f"The input lacks the {plural} {'; '.join(parts[:10])}.{tail} Send every required column under its name."


def array_of_rows(schema: Schema, rows: Sequence[Any], names: Sequence[Any] | None = None) -> NdArray:
    """The rows (lists, loosely typed as JSON has them) as one checked array of ``common_dtype``, columns in order.

    Raises InvalidInput naming row, column, expected and given type.
    """
    dtype = common_dtype(schema)
    if dtype is None:
        raise InvalidInput("The signature has columns that are not numbers, so no array can hold them.")
    array = _rectangle(rows)
    if array is None:
        return _slow_array(schema, rows, names, dtype)
    order = places(schema, names, array.shape[1])
    if None not in order and order != list(range(array.shape[1])):
        array = array[:, order]  # type: ignore[index]
    if None in order or not all(_fits(column.type, array[:, at]) for at, column in enumerate(schema.columns)):
        return _slow_array(schema, rows, names, dtype)
    return array if array.dtype == dtype else array.astype(dtype)


def _fits(kind: ColumnType, values: NdArray) -> bool:
    """Whether a column of numbers surely is of ``kind``; False sends it to the check of each cell."""
    if kind in (DataType.DOUBLE, DataType.FLOAT):
        return True
    if kind not in (DataType.LONG, DataType.INTEGER) or values.size == 0:
        return False
    limit = 1 << 31 if kind is DataType.INTEGER else 1 << 53
    return bool(-limit <= values.min() and values.max() < limit and (values == np.trunc(values)).all())


def _rectangle(rows: Sequence[Any]) -> NdArray | None:
    """The rows as a 2-d array of numbers, or None when they are ragged, nested or hold anything else."""
    try:
        array = np.asarray(rows)
    except ValueError:
        return None
    return array if array.ndim == 2 and array.dtype.kind in "if" else None


def _slow_array(schema: Schema, rows: Sequence[Any], names: Sequence[Any] | None, dtype: np.dtype[Any]) -> NdArray:
    columns = values_by_column(schema, rows, names)
    if any(values is None for values in columns):
        raise InvalidInput("An optional column is missing.", fix="Send it, with null where there is no value.")
    array = np.empty((len(rows), len(columns)), dtype)
    for at, (column, values) in enumerate(zip(schema.columns, columns, strict=True)):
        if column.type is DataType.BOOLEAN and any(value is None for value in values or ()):
            raise InvalidInput(f"The column {column.name!r} has a missing boolean.", fix="Send true or false.")
        array[:, at] = values
    return array


def values_by_column(schema: Schema, rows: Sequence[Any], names: Sequence[Any] | None) -> list[list[Any] | None]:
    """Each column's checked values, in the schema's order; None for an optional column that was not sent."""
    width = _check_width(rows, None if names is None else len(names))
    order = places(schema, names, width)
    return [
        None if place is None else column_values(column, [row[place] for row in rows], at)
        for at, (column, place) in enumerate(zip(schema.columns, order, strict=True))
    ]


def _check_width(rows: Sequence[Any], stated: int | None) -> int:
    width = stated
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple):
            raise InvalidInput(f"Row {number} is {_given(row)}, not a list of values.", fix="Send each row as a list.")
        width = len(row) if width is None else width
        if len(row) != width:
            raise InvalidInput(f"Row {number} has {len(row)} values, not {width}.", fix="Send rows of one length.")
    return width or 0


def column_values(column: Column, values: list[Any], at: int = 0) -> list[Any]:
    """The values as the column's type wants them. Raises InvalidInput naming the first row that does not fit."""
    check = _check(column.type)
    checked = []
    for number, value in enumerate(values):
        try:
            checked.append(check(value))
        except (ValueError, OverflowError):
            label = at if column.name is None else column.name
            raise InvalidInput(
                f"Row {number}, column {label!r}: expected {type_text(column.type)}, got {_given(value)}.",
                fix=_cell_fix(column.type, value),
            ) from None
    return checked


def _given(value: Any) -> str:
    """What was sent, for people: ``null``, ``text "abc"``, ``number 1.5``."""
    if value is None:
        return "null"
    words = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    text = repr(value)
    return f"{words.get(type(value), type(value).__name__)} {text if len(text) <= 40 else text[:37] + '...'}"


def _cell_fix(kind: ColumnType, value: Any) -> str:
    if kind in (DataType.INTEGER, DataType.LONG) and (value is None or value != value):
        return "Whole numbers have no missing value: send one, or declare the column as double when logging the model."
    return "Send that type."


def _check(kind: ColumnType) -> Callable[[Any], Any]:
    if isinstance(kind, DataType):
        return _SCALAR_CHECKS[kind]
    return lambda value: _nested(kind, value)


def _nested(kind: ColumnType, value: Any) -> Any:
    """The value of a nested type, checked through. Raises ValueError."""
    match kind:
        case DataType():
            return _SCALAR_CHECKS[kind](value)
        case AnyType():
            return value
        case SparkVector():
            return _nested(Array(DataType.DOUBLE), value)
        case Array(items) if isinstance(value, list | tuple | np.ndarray):
            return [_nested(items, each) for each in value]
        case Array() if value is None:
            return None
        case Map(values) if isinstance(value, dict):
            return {name: _nested(values, each) for name, each in value.items()}
        case Object(properties) if isinstance(value, dict):
            known = {each.name: each for each in properties}
            if set(value) - set(known) or any(each.required and each.name not in value for each in properties):
                raise ValueError
            return {name: _property(known[name].required, known[name].type, each) for name, each in value.items()}
    raise ValueError


def _property(required: bool, kind: ColumnType, value: Any) -> Any:
    return None if value is None and not required else _nested(kind, value)


def _boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if value in (0, 1) and isinstance(value, int | float):
        return bool(value)
    raise ValueError


def _whole(bits: int) -> Callable[[Any], int]:
    limit = 1 << (bits - 1)

    def check(value: Any) -> int:
        if not isinstance(value, int | float | np.number | np.bool_) or value != int(value):
            raise ValueError
        number = int(value)
        if not -limit <= number < limit:
            raise ValueError
        return number

    return check


def _real(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, int | float | np.number | np.bool_):
        return float(value)
    raise ValueError


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError from None


def _moment(value: Any) -> np.datetime64:
    if value is None:
        return np.datetime64("NaT", "ns")
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(value, int | float):
        raise ValueError
    return np.datetime64(value, "ns")


_SCALAR_CHECKS: dict[DataType, Callable[[Any], Any]] = {
    DataType.BOOLEAN: _boolean,
    DataType.INTEGER: _whole(32),
    DataType.LONG: _whole(64),
    DataType.FLOAT: _real,
    DataType.DOUBLE: _real,
    DataType.STRING: _text,
    DataType.BINARY: _bytes,
    DataType.DATETIME: _moment,
}


def checked_array(schema: Schema, array: NdArray) -> NdArray:
    """``array``, one column a column of the schema, in its ``common_dtype``. Raises InvalidInput.

    Only lossless conversions are made: whole numbers to double while they are exact there, never double to long.
    """
    dtype = common_dtype(schema)
    if dtype is None or array.ndim != 2:
        raise InvalidInput(f"An array of shape {array.shape} does not fit the model's columns.", fix=_names(schema))
    order = places(schema, None, array.shape[1])
    array = array if len(order) == array.shape[1] else array[:, : len(order)]
    for at, column in enumerate(schema.columns):
        kind = column.type
        if isinstance(kind, DataType) and not lossless(array[:, at], kind.numpy):
            label = at if column.name is None else column.name
            raise InvalidInput(
                f"Column {label!r}: expected {type_text(kind)}, got {array.dtype}.", fix="Convert it first."
            )
    return array if array.dtype == dtype else array.astype(dtype)


def lossless(values: NdArray, dtype: np.dtype[Any]) -> bool:
    """Whether every one of ``values`` is the same number after conversion to ``dtype``."""
    if values.dtype.kind in "iu" and dtype.kind == "f":
        exact = 1 << (np.finfo(dtype).nmant + 1)
        return values.size == 0 or bool(-exact <= values.min() and values.max() <= exact)
    return values.dtype == dtype or (values.dtype.kind != "b" and np.can_cast(values.dtype, dtype, "safe"))
