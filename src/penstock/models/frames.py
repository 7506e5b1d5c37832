"""The one file that knows pandas: frames from rows, and frames checked against a schema of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock.ground.errors import EnvironmentMismatch, InvalidInput
from penstock.models.columns import column_values, lossless, places, values_by_column
from penstock.models.inference import is_frame, is_series
from penstock.models.schema import Column, DataType, Schema, type_text


def pandas() -> Any:
    """The pandas module; late, because models that take arrays serve without it. Raises EnvironmentMismatch."""
    try:
        import pandas
    except ImportError as error:
        raise EnvironmentMismatch(
            "This model takes frames, and pandas is not installed.", fix="pip install pandas."
        ) from error
    return pandas


def frame_of_rows(schema: Schema | None, rows: Sequence[Any], names: Sequence[Any] | None = None) -> Any:
    """The frame of loosely typed rows; without a schema pandas tells the types. Raises InvalidInput naming the cell."""
    if schema is None:
        return pandas().DataFrame(list(rows), columns=None if names is None else list(names))
    columns = values_by_column(schema, rows, names)
    kept = [(c, values) for c, values in zip(schema.columns, columns, strict=True) if values is not None]
    return _frame(schema, kept)


def _frame(schema: Schema, columns: Sequence[tuple[Column, Any]]) -> Any:
    pd = pandas()
    series = [pd.Series(values, dtype=_dtype(column, values)) for column, values in columns]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = [column.name for column, _ in columns] if schema.has_names else range(len(columns))
    return frame


def _dtype(column: Column, values: Any) -> Any:
    if not isinstance(column.type, DataType):
        return object
    missing = column.type is DataType.BOOLEAN and any(value is None for value in values)
    return object if missing else column.type.numpy


def checked_frame(schema: Schema, data: Any) -> Any:
    """``data`` (a frame, a series, an array, a list, or a dict of columns or of one row) as the schema's frame.

    Columns come in the schema's order, others are dropped. The conversions are those MLflow makes, and whole numbers
    become double where they are exact there. Raises InvalidInput naming the column, the expected and the given type.
    """
    frame = data if is_frame(data) else _as_frame(schema, data)
    order = places(schema, list(frame.columns) if schema.has_names else None, frame.shape[1])
    parts = {}
    for column, place in zip(schema.columns, order, strict=True):
        if place is not None:
            name = frame.columns[place] if column.name is None else column.name
            parts[name] = _checked_series(column, frame.iloc[:, place], name)
    return pandas().DataFrame(parts, index=frame.index)


def _as_frame(schema: Schema, data: Any) -> Any:
    pd = pandas()
    if is_series(data):
        named = [str(name) for name in data.index] == [str(name) for name in schema.names]
        return data.to_frame().T.infer_objects() if named else data.to_frame()
    if isinstance(data, Mapping):
        columns = all(isinstance(value, list | np.ndarray) for value in data.values())
        plain = all(isinstance(column.type, DataType) for column in schema.columns)
        return pd.DataFrame(dict(data)) if columns and plain else pd.DataFrame([dict(data)])
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        return pd.DataFrame(data)
    if np.isscalar(data):
        data = [data]
    if not isinstance(data, list | np.ndarray):
        raise InvalidInput(f"A {type(data).__name__} is no input for a model of columns.", fix="Send a frame.")
    names = (
        list(schema.names)
        if schema.has_names and np.ndim(data) == 2 and np.shape(data)[1] == len(schema.fields)
        else None
    )
    return pd.DataFrame(data, columns=names)


def _checked_series(column: Column, series: Any, name: Any) -> Any:
    kind = column.type
    if not isinstance(kind, DataType):
        return pandas().Series(column_values(column, series.tolist()), index=series.index, dtype=object)
    if series.dtype.kind == "O" and kind not in (DataType.STRING, DataType.BINARY):
        series = series.infer_objects()
    if _fits_as_it_is(kind, series.dtype):
        return series
    try:
        if kind is DataType.DATETIME and series.dtype.kind in "MO":
            return series.astype("datetime64[ns]")
        if series.dtype.kind in "biuf" and lossless(_numbers(series), kind.numpy):
            return series.astype(kind.numpy)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"Column {name!r}: expected {type_text(kind)}; {error}.", fix="Convert it first.") from error
    raise InvalidInput(
        f"Column {name!r}: expected {type_text(kind)}, got {series.dtype}.", fix=_mismatch_fix(kind, series)
    )


def _numbers(series: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """The series as a numpy array; a pandas nullable type without missing values becomes the plain one."""
    return series.to_numpy(dtype=np.dtype(f"{series.dtype.kind}{series.dtype.itemsize}"))  # type: ignore[no-any-return]


def _fits_as_it_is(kind: DataType, dtype: Any) -> bool:
    if kind is DataType.STRING:
        return dtype.kind in "OUT"
    if kind is DataType.BINARY:
        return dtype.kind in "OS"
    return dtype == kind.numpy or (kind is DataType.BOOLEAN and dtype.kind == "O")


def _mismatch_fix(kind: DataType, series: Any) -> str:
    if series.dtype.kind == "f" and kind in (DataType.INTEGER, DataType.LONG) and series.isna().any():
        return "Missing values make whole numbers float: fill them, or declare the column as double."
    return "Convert it first; values are never rounded silently."
