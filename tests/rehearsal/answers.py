"""Every answer held against botocore's own model: no member it does not know, none missing that it requires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

CHECKED = ("sagemaker", "ecr", "application-autoscaling")


def check_answer(http_response: Any, model: OperationModel, **_: Any) -> None:
    """A hook for boto3's ``after-call``; fails the test whose call was answered wrongly."""
    if model.service_model.service_name in CHECKED and http_response.status_code == 200 and model.output_shape:
        problems = list(shape_problems(model.output_shape, json.loads(http_response.content), model.name))
        assert not problems, problems


def shape_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a JSON value as an instance of the shape."""
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            yield f"{path} is no structure: {value!r}"
            return
        yield from (f"{path}.{name} is unknown" for name in value if name not in shape.members)
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, member in shape.members.items():
            if name in value:
                yield from shape_problems(member, value[name], f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value):
            yield from shape_problems(shape.member, item, f"{path}[{number}]")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from shape_problems(shape.value, item, f"{path}[{key}]")
    else:
        yield from _scalar_problems(shape, value, path)


def _scalar_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,), "integer": (int,), "long": (int,), "float": (int, float), "double": (int, float),
        "boolean": (bool,), "timestamp": (int, float),
    }  # fmt: skip
    if not isinstance(value, kinds.get(shape.type_name, (object,))):
        yield f"{path} is no {shape.type_name}: {value!r}"
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield f"{path} is not one of {enum}: {value!r}"
