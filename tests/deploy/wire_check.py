"""Every request of a boto3 session held against botocore's service models, stricter than botocore itself does.

botocore's client checks required members, types and minima only. AWS checks patterns, enums and maxima too, so these
are checked here, from the same model files: a request that passes is one that AWS would read.
"""

from __future__ import annotations

import re
from typing import Any

import boto3
from botocore.model import OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

# botocore's own maximum for these is not what AWS enforces (facts: the runtime's body limit).
_NOT_ENFORCED = {"BodyBlob"}


class WireCheck:
    """Collects the operations a session sends, and what is wrong with any of them."""

    def __init__(self, session: boto3.Session) -> None:
        self.operations: list[str] = []
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        session.events.register("before-parameter-build.*.*", self._parameters)
        session.events.register("before-send.*.*", self._send)

    def _parameters(self, params: dict[str, Any], model: OperationModel, **_: Any) -> None:
        name = f"{model.service_model.service_name}.{model.name}"
        self.operations.append(name)
        if model.input_shape is None:
            return
        report = ParamValidator().validate(params, model.input_shape)
        if report.has_errors():
            self.problems.append(f"{name}: {report.generate_report()}")
        self.problems.extend(f"{name}: {problem}" for problem in violations(params, model.input_shape))

    def _send(self, request: Any, **_: Any) -> None:
        self.hosts.add(request.url.split("/")[2])

    def names(self, service: str) -> list[str]:
        """The operations of one service, in order."""
        return [name.partition(".")[2] for name in self.operations if name.startswith(f"{service}.")]

    def writes(self) -> list[str]:
        """The operations that change something."""
        reads = ("Describe", "List", "Get", "Head", "BatchGet", "BatchCheck", "Filter", "Simulate", "InvokeEndpoint")
        return [name for name in self.operations if not name.partition(".")[2].startswith(reads)]


def violations(value: Any, shape: Shape, path: str = "") -> list[str]:
    """What is wrong with ``value`` by the shape's own constraints, recursively."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        unknown = [f"{path}.{key}: unknown member" for key in value if key not in shape.members]
        known = [(key, item) for key, item in value.items() if key in shape.members]
        return unknown + [one for key, item in known for one in violations(item, shape.members[key], f"{path}.{key}")]
    if shape.type_name == "list":
        found = [one for index, item in enumerate(value) for one in violations(item, shape.member, f"{path}[{index}]")]
        return found + _size(len(value), shape, path)
    if shape.type_name == "map":
        keys = [one for key in value for one in violations(key, shape.key, f"{path} key {key!r}")]
        return keys + [one for key, item in value.items() for one in violations(item, shape.value, f"{path}.{key}")]
    return _scalar(value, shape, path)


def _scalar(value: Any, shape: Shape, path: str) -> list[str]:
    metadata = shape.metadata
    if shape.type_name == "string" and isinstance(value, str):
        found = _size(len(value), shape, path)
        if metadata.get("enum") and value not in metadata["enum"]:
            found.append(f"{path}: {value!r} is not of the enum")
        pattern = metadata.get("pattern")
        if pattern and not re.fullmatch(_python_pattern(pattern), value):
            found.append(f"{path}: {value!r} does not match {pattern}")
        return found
    if shape.type_name in ("integer", "long", "float", "double"):
        return _size(value, shape, path)
    return []


def _size(size: float, shape: Shape, path: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high and shape.name not in _NOT_ENFORCED):
        return [f"{path}: {size} is outside {low}..{high}"]
    return []


def _python_pattern(pattern: str) -> str:
    """A model's (Java) pattern as Python's, which lacks the Unicode classes and has no surrogate pairs."""
    whole = pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]").replace(r"\p{Print}", r"[\x20-\x7e]")
    whole = whole.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
    return re.sub(r"\\p\{\w+\}", r"\\w\\s", whole)
