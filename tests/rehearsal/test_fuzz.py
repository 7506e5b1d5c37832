"""Every operation fed from its own shapes, well and badly: AWS-shaped answers only, and never a 500."""

from __future__ import annotations

import http.client
import json
import random
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from penstock.rehearsal.ecr.operations import OPERATIONS as ECR
from penstock.rehearsal.hosting.operations import OPERATIONS as SAGEMAKER
from penstock.rehearsal.scaling.operations import OPERATIONS as SCALING
from penstock.rehearsal.wire.shapes import service_model
from rehearsal.answers import shape_problems
from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]
TARGETS = {
    "sagemaker": "SageMaker",
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
    "application-autoscaling": "AnyScaleFrontendService",
}
OFFERED = {"sagemaker": SAGEMAKER, "ecr": ECR, "application-autoscaling": SCALING}
ROUNDS = 12
NAMES = ("known", "nobody", "a" * 63, "A-1")
STRINGS = (
    "", "x", "a b", "-", "../..", "ü\u0000", "a" * 70_000, "s3://bucket/key.tar.gz", "1", "\ud7ff",
    "arn:aws:iam::123456789012:role/r", "127.0.0.1:1/known:1", "sha256:" + "0" * 64, "$", "$[",
)  # fmt: skip
WRONG: tuple[Any, ...] = (None, True, -1, 2**70, 1.5, "text", [], {}, [[]], {"a": {}}, [None])


class Maker:
    """Values of a shape: mostly right, sometimes odd, now and then of another kind."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def value(self, shape: Shape, depth: int = 0) -> Any:
        if self.dice.random() < 0.06:
            return self.dice.choice(WRONG)
        if isinstance(shape, StructureShape):
            return {
                name: self.value(member, depth + 1)
                for name, member in shape.members.items()
                if name in shape.required_members or (depth < 4 and self.dice.random() < 0.4)
            }
        if isinstance(shape, ListShape):
            return [self.value(shape.member, depth + 1) for _ in range(self.dice.choice((0, 1, 1, 2)))]
        if isinstance(shape, MapShape):
            return {
                str(self.value(shape.key)): self.value(shape.value, depth + 1) for _ in range(self.dice.choice((0, 1)))
            }
        return self.scalar(shape)

    def scalar(self, shape: Shape) -> Any:
        if isinstance(shape, StringShape):
            if shape.enum and self.dice.random() < 0.9:
                return self.dice.choice(shape.enum)
            return self.dice.choice(NAMES if self.dice.random() < 0.7 else STRINGS)
        if shape.type_name == "boolean":
            return self.dice.random() < 0.5
        if shape.type_name == "timestamp":
            return self.dice.choice((0, 1e9, 1e18, -1, "2026-01-01T00:00:00Z", "yesterday"))
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 100)
        return self.dice.choice((low, high, low - 1, high + 1, 2**63, (low + high) // 2))


def post(rehearsal: Rehearsal, target: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(rehearsal.info.host, rehearsal.info.port, timeout=20)
    try:
        connection.request("POST", "/", body, {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("service", "operation"), [(service, name) for service, table in OFFERED.items() for name in table]
)
def test_an_operation_takes_anything_and_stays_polite(rehearsal: Rehearsal, service: str, operation: str) -> None:
    model = service_model(service).operation_model(operation)
    assert model.input_shape is not None
    for seed in range(ROUNDS):
        parameters = Maker(seed).value(model.input_shape)
        status, content = post(rehearsal, f"{TARGETS[service]}.{operation}", json.dumps(parameters).encode())
        answer = json.loads(content)
        assert status in (200, 400), (seed, parameters, answer)
        if status == 400:
            assert answer["__type"] != "InternalFailure"
            assert answer["message"]
        elif model.output_shape is not None:
            assert not list(shape_problems(model.output_shape, answer, operation)), parameters


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b'"x"', b"1e999"])
def test_bodies_that_are_no_requests_are_refused(rehearsal: Rehearsal, body: bytes) -> None:
    status, content = post(rehearsal, "SageMaker.CreateEndpoint", body)
    assert status == 400
    assert json.loads(content)["__type"] in ("SerializationException", "ValidationException")


def test_what_is_not_offered_is_said_to_be_unknown(rehearsal: Rehearsal) -> None:
    for target in ("SageMaker.CreateNotebookInstance", "SageMaker.", "SageMaker.x.y"):
        status, content = post(rehearsal, target, b"{}")
        assert (status, json.loads(content)["__type"]) == (400, "UnknownOperationException")


ODD = ("", "x", "a" * 2000, "\xfc", "-", "text/csv; charset=", "s3://b/k", "0", "NEW_SESSION", "{}", "Wed, 1 Jan")
HEADERS = (
    "Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant", "X-Amzn-SageMaker-Target-Container-Hostname", "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Inference-Id", "X-Amzn-SageMaker-Inference-Component", "X-Amzn-SageMaker-InputLocation",
    "X-Amzn-SageMaker-RequestTTLSeconds", "X-Amzn-SageMaker-InvocationTimeoutSeconds",
)  # fmt: skip


def test_invocations_of_anything_are_answered_as_the_runtime_answers(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("fuzzed")
    dice = random.Random(3)
    for number in range(150):
        name = dice.choice(("fuzzed", "fuzzed", "nobody", "%00", "a%2Fb", "%", "a" * 3000, ""))
        action = dice.choice(("invocations", "invocations-response-stream", "async-invocations", "other", ""))
        headers = {header: dice.choice(ODD) for header in HEADERS if dice.random() < 0.2}
        connection = http.client.HTTPConnection(rehearsal.info.host, rehearsal.info.port, timeout=20)
        connection.request("POST", f"/endpoints/{name}/{action}", dice.randbytes(dice.choice((0, 1, 300))), headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (200, 202, 400, 424), (number, name, action, headers, content)
        if answer.status >= 400:
            assert answer.getheader("x-amzn-errortype"), (number, name, action, headers, content)
            assert json.loads(content)["message"]
        connection.close()
    assert rehearsal.told("fuzzed")["body"] == "{}"
    rehearsal.delete("fuzzed")


def test_foreign_host_headers_are_refused(rehearsal: Rehearsal) -> None:
    connection = http.client.HTTPConnection(rehearsal.info.host, rehearsal.info.port, timeout=20)
    connection.request("GET", "/_penstock/health", headers={"Host": "rebound.example.com"})
    assert connection.getresponse().status == 403
    connection.close()
