"""Validation made from botocore's own service models: what the client leaves to the server, checked as the server does.

botocore checks required members, types and minima; patterns, enums and maxima reach the server unchecked.
Messages are worded as AWS words them: ``1 validation error detected: Value 'x' at 'endpointName' failed to satisfy
constraint: Member must ...``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

from penstock.rehearsal.wire.exceptions import AwsError, serialization, unknown_operation

_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "blob": (str,),
}

# What bad input is called, where it is not ValidationException.
_CODES = {"ecr": "InvalidParameterException"}
_Check = Callable[[Any, Any, str], Iterator[str]]

# Java's Unicode classes, spelled for Python's re inside a character class; symbols and punctuation are approximate.
_JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\p{M}": "\u0300-\u036f",
    r"\p{S}": "$+<=>^`|~\u00a2-\u00b1\u2030-\u2bff",
    r"\p{P}": r"!-/:-@\[-`{-~" + "\u00a1\u00ab\u00b7\u00bb\u00bf\u2010-\u206f\u3001-\u303f",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\uD800\uDC00-\uDBFF\uDFFF": "\U00010000-\U0010ffff",
}


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of ``service``, e.g. "sagemaker"."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operation_model(service: str, operation: str) -> OperationModel:
    """The model of one operation. Raises AwsError for a name the service does not have."""
    model = service_model(service)
    if operation not in model.operation_names:
        raise unknown_operation(operation)
    return model.operation_model(operation)


@cache
def java_pattern(text: str) -> re.Pattern[str] | None:
    """``text``, a Java pattern of a service model, for Python; None for the few that have no equivalent."""
    for java, python in _JAVA_CLASSES.items():
        text = text.replace(java, python)
    try:
        return re.compile(text)
    except re.error:
        return None


def validate(service: str, operation: str, parameters: Any) -> dict[str, Any]:
    """``parameters``, once they fit the operation's input shape; unknown members are dropped, as AWS ignores them.

    Raises AwsError: SerializationException for a wrong type, ValidationException for everything else.
    """
    shape = operation_model(service, operation).input_shape
    if not isinstance(parameters, dict):
        raise serialization("Start of structure or map found where not expected.")
    if shape is None:
        return {}
    problems = list(_problems(shape, parameters, ""))
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        code = _CODES.get(service, "ValidationException")
        raise AwsError(code, f"{len(problems)} validation {noun} detected: {'; '.join(problems)}")
    return {name: parameters[name] for name in shape.members if parameters.get(name) is not None}


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    check: _Check = _CHECKS.get(shape.type_name, _scalar)
    yield from check(shape, value, path)


def _structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    _require_type(value, dict, path)
    for name in shape.required_members:
        if value.get(name) is None:
            yield _problem("null", _join(path, name), "Member must not be null")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _problems(member, value[name], _join(path, name))


def _list(shape: ListShape, value: Any, path: str) -> Iterator[str]:
    _require_type(value, list, path)
    yield from _length(shape, len(value), value, path)
    for number, item in enumerate(value, 1):
        yield from _problems(shape.member, item, f"{path}.{number}.member")


def _map(shape: MapShape, value: Any, path: str) -> Iterator[str]:
    _require_type(value, dict, path)
    yield from _length(shape, len(value), value, path)
    for key, item in value.items():
        yield from _problems(shape.key, key, path)
        yield from _problems(shape.value, item, f"{path}.{key}.member")


def _string(shape: StringShape, value: Any, path: str) -> Iterator[str]:
    _require_type(value, str, path)
    if shape.enum and value not in shape.enum:
        yield _problem(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    too_long = list(_length(shape, len(value), value, path))
    yield from too_long
    pattern = shape.metadata.get("pattern")
    compiled = java_pattern(pattern) if pattern else None
    if compiled and not too_long and not compiled.fullmatch(value):
        yield _problem(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    expected = _SCALARS[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise serialization(f"{type(value).__name__} can not be converted to {shape.type_name} at '{path}'")
    if shape.type_name in ("integer", "long", "float", "double"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            yield _problem(value, path, f"Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            yield _problem(value, path, f"Member must have value less than or equal to {high}")


def _length(shape: Shape, length: int, value: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        yield _problem(value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and length > high:
        yield _problem(value, path, f"Member must have length less than or equal to {high}")


def _require_type(value: Any, expected: type, path: str) -> None:
    if not isinstance(value, expected):
        raise serialization(f"{type(value).__name__} can not be converted to {expected.__name__} at '{path}'")


def _join(path: str, member: str) -> str:
    name = member[:1].lower() + member[1:]
    return f"{path}.{name}" if path else name


def _problem(value: Any, path: str, rule: str) -> str:
    shown = value if value == "null" else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


_CHECKS: dict[str, _Check] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
}
