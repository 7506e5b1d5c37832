"""The short way for what is sent all day gives what the long way gives, and leaves the rest to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.server.fields import read_fields
from penstock.server.handlers.runs import ROUTES
from penstock.server.routes import Route


def route(path: str) -> Route:
    return next(route for route in ROUTES if route.path.endswith(path))


POINT = {"key": "a", "value": 1, "timestamp": 5, "step": 2}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("log-metric", {"run_id": "r", **POINT}),
        ("log-metric", {"run_uuid": "r", **POINT, "model_id": "m-1", "dataset_name": "d", "unknown": [1]}),
        ("log-batch", {"run_id": "r"}),
        (
            "log-batch",
            {"run_id": "r", "metrics": [POINT, {**POINT, "value": -0.5}], "tags": [{"key": "t", "value": ""}]},
        ),
        ("log-batch", {"run_id": "r", "params": [{"key": "p", "value": "x"}]}),
    ],
)
def test_both_ways_give_the_same_batch(path: str, body: dict[str, Any]) -> None:
    found = route(path)
    assert found.decoder is not None
    short = found.decoder.batch(json.dumps(body).encode())
    long = found.handler(**read_fields(found.fields, body))
    assert short is not None
    assert short.run_id == long.run_id
    assert [json_of(metric) for metric in short.metrics] == [json_of(metric) for metric in long.metrics]
    assert (short.params, short.tags) == (long.params, long.tags)


def json_of(metric: Any) -> tuple[Any, ...]:
    return (metric.key, metric.value, metric.timestamp_ms, metric.step, metric.model_id, metric.dataset_name)


@pytest.mark.parametrize(
    "body",
    [
        {"run_id": "r", **POINT, "value": "NaN"},
        {"run_id": "r", **POINT, "timestamp": "5"},
        {"run_id": "r", **POINT, "value": True},
        {"runId": "r", **POINT},
        {"run_id": "r", **POINT, "key": ""},
        {**POINT},
        [],
    ],
)
def test_what_does_not_fit_goes_the_long_way(body: Any) -> None:
    decoder = route("log-metric").decoder
    assert decoder is not None
    assert decoder.batch(json.dumps(body).encode()) is None
