"""What a model takes and gives, as values: columns, tensors and params, in MLflow's JSON spelling, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self

import numpy as np
from msgspec import Struct

from penstock.ground.errors import InvalidInput


class DataType(StrEnum):
    """The scalar types of a column."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATETIME = "datetime"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy type that holds such values, e.g. ``int64`` for ``long``; ``object`` for text and bytes."""
        return _NUMPY[self]


_NUMPY: dict[DataType, np.dtype[Any]] = {
    DataType.BOOLEAN: np.dtype(np.bool_),
    DataType.INTEGER: np.dtype(np.int32),
    DataType.LONG: np.dtype(np.int64),
    DataType.FLOAT: np.dtype(np.float32),
    DataType.DOUBLE: np.dtype(np.float64),
    DataType.STRING: np.dtype(object),
    DataType.BINARY: np.dtype(object),
    DataType.DATETIME: np.dtype("datetime64[ns]"),
}


class Array(Struct, frozen=True):
    """A list whose items are all of one type."""

    items: ColumnType


class Property(Struct, frozen=True):
    """One named value of an Object."""

    name: str
    type: ColumnType
    required: bool = True


class Object(Struct, frozen=True):
    """A mapping with known names; ``properties`` are sorted by name, as MLflow writes them."""

    properties: tuple[Property, ...]


class Map(Struct, frozen=True):
    """A mapping from text to values of one type."""

    values: ColumnType


class AnyType(Struct, frozen=True):
    """Any JSON value, unchecked."""


class SparkVector(Struct, frozen=True):
    """Spark ML's vector, which travels as a list of doubles."""


ColumnType = DataType | Array | Object | Map | AnyType | SparkVector


class Column(Struct, frozen=True):
    """One column; ``name`` is None (or a whole number, as frames may have) where the data has no names."""

    type: ColumnType
    name: str | int | None = None
    required: bool = True


class Tensor(Struct, frozen=True):
    """One array: numpy's name of its type, and its shape, where -1 is any length."""

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None

    @property
    def required(self) -> bool:
        return True


class Schema(Struct, frozen=True):
    """The columns or the tensors of a model's input or output, in order."""

    fields: tuple[Column | Tensor, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns; empty when this schema is of tensors."""
        return tuple(field for field in self.fields if isinstance(field, Column))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors; empty when this schema is of columns."""
        return tuple(field for field in self.fields if isinstance(field, Tensor))

    @property
    def names(self) -> tuple[str | int, ...]:
        """The names in order; the place (0, 1, ...) where there is none."""
        return tuple(place if field.name is None else field.name for place, field in enumerate(self.fields))

    @property
    def has_names(self) -> bool:
        return self.fields[0].name is not None

    def to_json(self) -> str:
        """The text MLmodel keeps, e.g. ``[{"type": "double", "name": "x", "required": true}]``."""
        return json.dumps([_field_to_dict(field) for field in self.fields])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises InvalidInput when the text is not a schema that MLflow could have written."""
        return cls.of(_field_from_dict(entry) for entry in _json_list(text))

    @classmethod
    def of(cls, fields: Iterable[Column | Tensor]) -> Self:
        """The schema of these fields, checked as MLflow checks them. Raises InvalidInput."""
        given = tuple(fields)
        _check_fields(given)
        return cls(given)


class ParamSpec(Struct, frozen=True):
    """One inference parameter; ``shape`` is None for a single value and (-1,) for a list."""

    name: str
    type: DataType | Object
    default: Any
    shape: tuple[int, ...] | None = None


class ParamSchema(Struct, frozen=True):
    """The parameters that ``predict(data, params)`` takes."""

    params: tuple[ParamSpec, ...]

    def to_json(self) -> str:
        return json.dumps([_param_to_dict(param) for param in self.params])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises InvalidInput."""
        return cls(tuple(_param_from_dict(entry) for entry in _json_list(text)))


def _json_list(text: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:
        raise InvalidInput(f"The signature is not JSON: {error}.", fix="Write it with infer_signature.") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput("The signature is not a list of columns or tensors.", fix="Write it with infer_signature.")
    return entries


def _check_fields(fields: tuple[Column | Tensor, ...]) -> None:
    problem = None
    if not fields:
        problem = "A signature without any input is not allowed."
    elif len({type(field) for field in fields}) > 1:
        problem = "A signature cannot mix columns and tensors."
    elif len({field.name is None for field in fields}) > 1:
        problem = "A signature cannot mix named and unnamed inputs."
    elif isinstance(fields[0], Tensor) and len(fields) > 1 and fields[0].name is None:
        problem = "Several tensors need names."
    elif fields[0].name is None and not all(field.required for field in fields):
        problem = "Unnamed inputs cannot be optional."
    if problem:
        raise InvalidInput(problem, fix="Name every input, or none.")


def _field_to_dict(field: Column | Tensor) -> dict[str, Any]:
    if isinstance(field, Tensor):
        spec = {"type": "tensor", "tensor-spec": {"dtype": field.dtype, "shape": list(field.shape)}}
        return spec if field.name is None else {"name": field.name, **spec}
    named = {} if field.name is None else {"name": field.name}
    return {**type_to_dict(field.type), **named, "required": field.required}


def _field_from_dict(entry: dict[str, Any]) -> Column | Tensor:
    try:
        if entry["type"] == "tensor":
            spec = entry["tensor-spec"]
            return Tensor(str(np.dtype(spec["dtype"]).name), tuple(int(n) for n in spec["shape"]), entry.get("name"))
        required = entry.get("required")
        return Column(type_from_dict(entry), entry.get("name"), True if required is None else bool(required))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"The signature's entry {entry!r} cannot be read: {error}.", fix="Correct MLmodel."
        ) from error


def type_to_dict(kind: ColumnType) -> dict[str, Any]:
    """MLflow's JSON for a column's type, e.g. ``{"type": "array", "items": {"type": "string"}}``."""
    match kind:
        case DataType():
            return {"type": kind.value}
        case Array(items):
            return {"type": "array", "items": type_to_dict(items)}
        case Map(values):
            return {"type": "map", "values": type_to_dict(values)}
        case Object(properties):
            return {"type": "object", "properties": {
                each.name: {**type_to_dict(each.type), "required": each.required} for each in properties
            }}  # fmt: skip
        case AnyType():
            return {"type": "any"}
        case SparkVector():
            return {"type": "sparkml_vector"}


def type_from_dict(entry: dict[str, Any]) -> ColumnType:
    """The type that ``entry`` spells. Raises InvalidInput for a type nobody knows."""
    match entry["type"]:
        case "array":
            return Array(type_from_dict(entry["items"]))
        case "map":
            return Map(type_from_dict(entry["values"]))
        case "object":
            properties = sorted(entry["properties"].items())
            return Object(tuple(Property(name, type_from_dict(e), e.get("required", True)) for name, e in properties))
        case "any":
            return AnyType()
        case "sparkml_vector":
            return SparkVector()
        case name:
            return _data_type(name)


def _data_type(name: Any) -> DataType:
    try:
        return DataType(name)
    except ValueError:
        known = ", ".join(each.value for each in DataType)
        raise InvalidInput(f"The column type {name!r} is not known.", fix=f"Use one of {known}.") from None


def type_text(kind: ColumnType) -> str:
    """A type for people: ``double``, ``list of string``, ``object``."""
    match kind:
        case DataType():
            return kind.value
        case Array(items):
            return f"list of {type_text(items)}"
        case Map(values):
            return f"map of {type_text(values)}"
        case Object():
            return "object"
        case SparkVector():
            return "vector"
        case AnyType():
            return "any value"


def _param_to_dict(param: ParamSpec) -> dict[str, Any]:
    shape = None if param.shape is None else list(param.shape)
    return {"name": param.name, "default": _plain(param.default), "shape": shape, **type_to_dict(param.type)}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _param_from_dict(entry: dict[str, Any]) -> ParamSpec:
    try:
        # MLflow 2.x before 2.6 wrote "dtype" where newer ones write "type".
        kind = type_from_dict(entry) if "type" in entry else _data_type(entry["dtype"])
        if not isinstance(kind, DataType | Object):
            raise ValueError(f"a parameter cannot be a {type_text(kind)}")
        shape = None if entry.get("shape") is None else tuple(entry["shape"])
        return ParamSpec(str(entry["name"]), kind, entry["default"], shape)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"The parameter {entry!r} cannot be read: {error}.", fix="Correct MLmodel.") from error
