"""What a request's fields may hold, and how each is read from JSON or from a query string."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from msgspec import Struct

from penstock.ground.entities import Metric, Param, Tag
from penstock.ground.errors import InvalidInput
from penstock.ground.wire import from_wire, read_double, read_integer
from penstock.store.limits import INT64, check_length, invalid_value, missing_value

Reader = Callable[[Any, str], Any]
T = TypeVar("T", bound=Struct)
MAX_TEXT_CHARS = 1_000_000
MAX_LIST_ITEMS = 100_000


class Field(Struct, frozen=True, kw_only=True):
    """One field: its name on the wire, the handler's name for it, how it is read, and what stands for its absence."""

    wire: str
    name: str
    read: Reader
    required: bool = False
    many: bool = False
    default: Any = None
    also: str = ""


def text(wire: str, *, name: str = "", required: bool = False, default: Any = None, also: str = "") -> Field:
    """A text; a number is read as the text it is written as."""
    return Field(wire=wire, name=name or wire, read=_text, required=required, default=default, also=also)


def integer(wire: str, *, name: str = "", required: bool = False, default: Any = None) -> Field:
    """A whole number of 64 bits."""
    return Field(wire=wire, name=name or wire, read=_integer, required=required, default=default)


def double(wire: str, *, required: bool = False) -> Field:
    """A number; "NaN", "Infinity" and "-Infinity" are numbers, true and false are none."""
    return Field(wire=wire, name=wire, read=_double, required=required)


def truth(wire: str) -> Field:
    """true or false."""
    return Field(wire=wire, name=wire, read=_truth, default=False)


def choice(wire: str, kind: type[StrEnum], *, name: str = "", default: Any = None) -> Field:
    """One of an enumeration's values."""

    def read(value: Any, path: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise invalid_value(path, value, f"Valid values are {', '.join(kind)}.") from None

    return Field(wire=wire, name=name or wire, read=read, default=default)


def texts(wire: str, *, name: str = "", required: bool = False) -> Field:
    """A list of texts."""
    return Field(wire=wire, name=name or wire, read=_list_of(_text), required=required, many=True, default=())


def metrics(wire: str) -> Field:
    """A list of metric points."""
    return Field(wire=wire, name=wire, read=_list_of(read_metric), many=True, default=())


def params(wire: str) -> Field:
    """A list of params."""
    return Field(wire=wire, name=wire, read=_list_of(_pair_reader(Param)), many=True, default=())


def tags(wire: str) -> Field:
    """A list of tags."""
    return Field(wire=wire, name=wire, read=_list_of(_pair_reader(Tag)), many=True, default=())


def entities(wire: str, kind: type[T], *, name: str = "", required: bool = False) -> Field:
    """A list of entities that the wire's table describes."""

    def read(value: Any, path: str) -> T:
        try:
            return from_wire(kind, value)
        except InvalidInput as error:
            raise invalid_value(path, value, error.message) from None

    return Field(wire=wire, name=name or wire, read=_list_of(read), required=required, many=True, default=())


def mapping(wire: str) -> Field:
    """A JSON object that the handler reads itself."""
    return Field(wire=wire, name=wire, read=_object, default={})


def objects(wire: str, *, name: str = "") -> Field:
    """A list of JSON objects that the handler reads itself."""

    return Field(wire=wire, name=name or wire, read=_list_of(_object), many=True, default=())


def read_fields(fields: tuple[Field, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The handler's arguments. Raises InvalidInput for the first field that is missing or malformed."""
    values: dict[str, Any] = {}
    for field in fields:
        raw = _given(field, given)
        if raw is None or (raw == "" and field.required):
            if field.required:
                raise missing_value(field.wire)
            values[field.name] = field.default
        else:
            values[field.name] = field.read(raw, field.wire)
            if field.required and field.many and not values[field.name]:
                raise missing_value(field.wire)
    return values


def from_query(fields: tuple[Field, ...], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """A query string's values in the shape that JSON would have them: lists where a field holds many."""
    many = {field.wire for field in fields if field.many}
    return {key: values if key.removesuffix("[]") in many else values[-1] for key, values in query.items()}


@cache
def _camel(name: str) -> str:
    """``run_id`` -> ``runId``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _given(field: Field, given: Mapping[str, Any]) -> Any:
    value = given.get(field.wire)
    if "_" in field.wire and len(given) > 0:
        camel = given.get(_camel(field.wire))
        if camel is not None and value is not None:
            raise InvalidInput(f"The field '{field.wire}' is sent in two spellings.", fix="Send one of them.")
        value = camel if value is None else value
    if value is None and field.also:
        value = given.get(field.also)
    return given.get(f"{field.wire}[]") if value is None and field.many else value


def _object(value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise invalid_value(path, value, "It must be an object.")
    return value


def _text(value: Any, path: str) -> str:
    if isinstance(value, str):
        check_length(path, value, MAX_TEXT_CHARS)
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64:
        return str(value)
    raise invalid_value(path, value, "It must be a string.")


def _integer(value: Any, path: str) -> int:
    try:
        number = read_integer(value)
    except (ValueError, OverflowError):
        raise invalid_value(path, value, "It must be a 64-bit integer.") from None
    if not -INT64 <= number < INT64:
        raise invalid_value(path, value, "It must be a 64-bit integer.")
    return number


def _double(value: Any, path: str) -> float:
    try:
        return read_double(value)
    except (ValueError, OverflowError):
        reason = "Please specify value as a valid double (64-bit floating point)"
        raise invalid_value(path, value, reason) from None


def _truth(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise invalid_value(path, value, "It must be true or false.")


def _list_of(read: Reader) -> Reader:
    def read_list(values: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(values, list):
            raise invalid_value(path, values, "It must be a list.")
        if len(values) > MAX_LIST_ITEMS:
            raise InvalidInput(f"'{path}' has {len(values)} items.", fix=f"Send at most {MAX_LIST_ITEMS}.")
        return tuple(read(value, f"{path}[{index}]") for index, value in enumerate(values))

    return read_list


def read_metric(value: Any, path: str) -> Metric:
    """A metric point. Raises InvalidInput naming the part that is missing or malformed."""
    if not isinstance(value, dict):
        raise invalid_value(path, value, "It must be an object.")
    key, number, timestamp_ms = value.get("key"), value.get("value"), value.get("timestamp")
    for part, given in (("name", key), ("value", number), ("timestamp", timestamp_ms)):
        if given is None or given == "":
            raise missing_value(f"{path}.{part}")
    step = value.get("step")
    return Metric(
        key=_text(key, f"{path}.name"),
        value=number if type(number) is float else _double(number, f"{path}.value"),
        timestamp_ms=timestamp_ms if type(timestamp_ms) is int else _integer(timestamp_ms, f"{path}.timestamp"),
        step=step if type(step) is int else 0 if step is None else _integer(step, f"{path}.step"),
        model_id=_optional_text(value, "model_id", path),
        dataset_name=_optional_text(value, "dataset_name", path),
        dataset_digest=_optional_text(value, "dataset_digest", path),
    )


def _optional_text(value: dict[str, Any], key: str, path: str) -> str | None:
    given = value.get(key)
    return None if given is None or given == "" else _text(given, f"{path}.{key}")


def _pair_reader(kind: type[Param] | type[Tag]) -> Reader:
    def read(value: Any, path: str) -> Param | Tag:
        if not isinstance(value, dict):
            raise invalid_value(path, value, "It must be an object.")
        key, content = value.get("key"), value.get("value")
        if key is None or key == "":
            raise missing_value(f"{path}.key")
        text_value = "" if content is None else _text(content, f"{path}.value")
        return kind(key=_text(key, f"{path}.key"), value=text_value)

    return read
