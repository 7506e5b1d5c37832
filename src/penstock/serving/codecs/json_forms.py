"""MLflow's JSON bodies: the four forms of today, and the split and records of 1.x."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from penstock.ground.errors import InvalidInput, UnsupportedMedia
from penstock.models.schema import DataType, Schema
from penstock.serving.codecs.media import ContentType, Media
from penstock.serving.payload import Dialect, Payload

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
AZURE = "input_data"
_FIX = f"Send one of {', '.join(repr(form) for form in FORMS)}, and 'params' if the model takes any."
_REAL = frozenset({DataType.FLOAT, DataType.DOUBLE})


class JsonForms:
    """The JSON bodies that a model with these inputs takes.

    Where all inputs are real numbers, bodies are decoded straight into lists of floats; whatever does not fit that
    narrow form is decoded again without types, to be understood or to be refused with its row and column.
    """

    def __init__(self, inputs: Schema | None) -> None:
        self.inputs = inputs
        self.names = inputs.names if inputs is not None and inputs.has_names else None
        narrow = None if inputs is None else _narrow(inputs)
        self._decoder = None if narrow is None else msgspec.json.Decoder(_narrow_body(narrow))

    def decode(self, body: bytes, content_type: ContentType) -> Payload:
        """The payload. Raises InvalidInput, or UnsupportedMedia for a format parameter nobody knows."""
        form = content_type.parameters.get("format")
        if content_type.media is Media.NUMPY_SPLIT or form in ("pandas-split", "numpy-split"):
            return self._split(_table(decoded(body), form or "split"), None, Dialect.BARE)
        if form == "pandas-records":
            return self._records(decoded(body), None, Dialect.BARE)
        if form is not None:
            raise UnsupportedMedia(f"The JSON format {form!r} is not known.", fix="Use pandas-split or pandas-records.")
        return self._narrowly(body) or self._widely(decoded(body))

    def _narrowly(self, body: bytes) -> Payload | None:
        if self._decoder is None:
            return None
        try:
            found = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        split, rows, inputs, params = found.dataframe_split, found.instances, found.inputs, found.params
        if (split is not None) + (rows is not None) + (inputs is not None) != 1:
            return None
        if split is None:
            return Payload(rows if rows is not None else inputs, params=params)
        names = None if split.columns is None else tuple(split.columns)
        if names is not None and split.data and len(split.data[0]) != len(names):
            return None
        return Payload(split.data, names, params=params)

    def _widely(self, body: Any) -> Payload:
        if not isinstance(body, Mapping):
            raise InvalidInput(f"The body is a JSON {_kind(body)}, not an object.", fix=_FIX)
        if "columns" in body and "data" in body and not any(form in body for form in FORMS):
            return self._split(body, None, Dialect.BARE)  # what MLflow 1.x meant by plain application/json
        params = body.get("params", body.get("parameters"))  # Vertex AI says parameters
        if params is not None and not isinstance(params, Mapping):
            raise InvalidInput(f"'params' is a JSON {_kind(params)}, not an object.", fix="Send names and values.")
        forms = [form for form in FORMS if form in body]
        if not forms and AZURE in body:
            return self._azure(body[AZURE], params)
        if len(forms) != 1:
            found = f"has {' and '.join(map(repr, forms))}" if forms else f"has none of {', '.join(FORMS)}"
            raise InvalidInput(f"The body {found}.", fix=_FIX)
        return self.of_form(forms[0], body[forms[0]], params)

    def _azure(self, value: Any, params: Mapping[str, Any] | None) -> Payload:
        """Azure ML's input_data: a split table or bare rows; it answers the bare list."""
        if isinstance(value, Mapping) and "data" in value:
            return self._split(value, params, Dialect.BARE)
        payload = self._tensors(AZURE, value, params)
        payload.dialect = Dialect.BARE
        return payload

    def of_form(self, form: str, value: Any, params: Mapping[str, Any] | None = None) -> Payload:
        """The payload of one form's value."""
        if form == "dataframe_split":
            return self._split(_table(value, form), params, Dialect.WRAPPED)
        if form == "dataframe_records":
            return self._records(value, params, Dialect.WRAPPED)
        return self._tensors(form, value, params)

    def _split(self, table: Mapping[str, Any], params: Mapping[str, Any] | None, dialect: Dialect) -> Payload:
        rows, columns = table.get("data"), table.get("columns")
        if not isinstance(rows, list):
            raise InvalidInput(f"'data' is {_kind(rows)}, not a list of rows.", fix="Send 'columns' and 'data'.")
        if columns is not None and not isinstance(columns, list):
            raise InvalidInput(f"'columns' is {_kind(columns)}, not a list of names.", fix="Send a list of names.")
        _check_rows(rows, None if columns is None else len(columns))
        return Payload(rows, None if columns is None else _names(columns), params=params, dialect=dialect)

    def _records(self, records: Any, params: Mapping[str, Any] | None, dialect: Dialect) -> Payload:
        if not isinstance(records, list):
            raise InvalidInput(f"The records are a JSON {_kind(records)}, not a list.", fix="Send a list of objects.")
        for number, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise InvalidInput(f"Row {number} is a JSON {_kind(record)}, not an object.", fix="Send an object.")
        names = tuple(dict.fromkeys(name for record in records for name in record))
        if not records and self.names is not None:
            names = self.names
        rows = [[record.get(name) for name in names] for record in records]
        return Payload(rows, names, params=params, dialect=dialect)

    def _tensors(self, form: str, value: Any, params: Mapping[str, Any] | None) -> Payload:
        """``instances`` (row by row) and ``inputs`` (column by column) as TensorFlow Serving has them."""
        inputs = self.inputs
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            if inputs is None or inputs.columns:
                return self._records(value, params, Dialect.WRAPPED)
            value = {name: [item.get(name) for item in value] for name in value[0]}
        if isinstance(value, Mapping):
            return self._by_column(value, params)
        if not isinstance(value, list):
            if inputs is not None and inputs.columns:
                return Payload([[value]], params=params)
            return Payload(value=value, params=params)
        if inputs is None:
            return Payload(value=_array(form, value), params=params)
        if inputs.columns:
            value = [[item] if not isinstance(item, list) else item for item in value]
            _check_rows(value, None)
        return Payload(value, params=params)

    def _by_column(self, columns: Mapping[str, Any], params: Mapping[str, Any] | None) -> Payload:
        if self.inputs is None or self.inputs.tensors:
            arrays = {name: _array(name, values) for name, values in columns.items()}
            return Payload(value=arrays, params=params)
        lists = [values if isinstance(values, list) else [values] for values in columns.values()]
        if len({len(values) for values in lists}) > 1:
            sizes = ", ".join(f"{name!r} {len(values)}" for name, values in zip(columns, lists, strict=True))
            raise InvalidInput(f"The columns have different lengths: {sizes}.", fix="Send one value a row in each.")
        return Payload([list(row) for row in zip(*lists, strict=True)], tuple(columns), params=params)


def _narrow(inputs: Schema) -> Any:
    """Nested lists of floats as deep as the one input is, or None where not all is real."""
    depth = 2
    if inputs.tensors:
        tensor = inputs.tensors[0]
        if len(inputs.tensors) != 1 or tensor.dtype not in ("float32", "float64") or not tensor.shape:
            return None
        depth = len(tensor.shape)
    elif not all(column.type in _REAL for column in inputs.columns):
        return None
    kind: Any = float
    for _ in range(depth):
        kind = list[kind]
    return kind


def _narrow_body(kind: Any) -> Any:
    split = msgspec.defstruct(
        "Split", [("data", kind), ("columns", list[str | int] | None, None), ("index", msgspec.Raw | None, None)]
    )
    fields = [
        ("dataframe_split", split | None, None),
        ("instances", kind | None, None),
        ("inputs", kind | None, None),
        ("params", dict[str, Any] | None, None),
    ]
    return msgspec.defstruct("Body", fields, forbid_unknown_fields=True)


def decoded(body: bytes) -> Any:
    """The JSON value; NaN and Infinity are let in. Raises InvalidInput saying where the text breaks."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _slowly_decoded(body)


def _slowly_decoded(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except RecursionError:
        raise InvalidInput("The JSON is nested too deeply.", fix="Send at most a few levels of lists.") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8 at byte {error.start}.", fix="Send UTF-8.") from None
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}.", fix="Send valid JSON.") from None


def _table(value: Any, form: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{form!r} is a JSON {_kind(value)}, not an object.", fix="Send 'columns' and 'data'.")
    return value


def _names(columns: Sequence[Any]) -> tuple[Any, ...]:
    for at, name in enumerate(columns):
        if not isinstance(name, str | int):
            raise InvalidInput(f"The name of column {at} is a JSON {_kind(name)}, not text.", fix="Send a text.")
    return tuple(columns)


def _check_rows(rows: list[Any], width: int | None) -> None:
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            raise InvalidInput(f"Row {number} is a JSON {_kind(row)}, not a list.", fix="Send each row as a list.")
        width = len(row) if width is None else width
        if len(row) != width:
            raise InvalidInput(f"Row {number} has {len(row)} values, not {width}.", fix="Send rows of one length.")


def _array(label: str, value: Any) -> Any:
    try:
        return np.asarray(value)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{label!r} is a ragged list.", fix="Send lists of one length at each level.") from None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return kinds.get(type(value), type(value).__name__)
