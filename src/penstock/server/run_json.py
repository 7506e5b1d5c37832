"""Stored runs -> MLflow's JSON, without an entity or a dictionary on the way.

A search may answer with thousands of runs. The same as ``to_wire`` of the entities gives, with inputs and
outputs written out as MLflow does, at a quarter of the cost (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from penstock.ground.entities import Page
from penstock.ground.wire import to_wire, write_double
from penstock.store.inputs import Links
from penstock.store.runs import RunRow


class _Point(Struct, frozen=True):
    key: str
    value: float | str
    timestamp: int
    step: int


class _Pair(Struct, frozen=True):
    key: str
    value: str


class _Info(Struct, frozen=True, omit_defaults=True):
    run_id: str
    run_uuid: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None = None
    artifact_uri: str | None = None
    lifecycle_stage: str | None = None


class _Data(Struct, frozen=True, omit_defaults=True):
    metrics: list[_Point] = field(default_factory=list)
    params: list[_Pair] = field(default_factory=list)
    tags: list[_Pair] = field(default_factory=list)


class RunJson(Struct, frozen=True):
    """A run under its names on the wire, to be encoded as it is; ``inputs`` and ``outputs`` are there though empty."""

    info: _Info
    data: _Data
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class RunPage(Struct, frozen=True, omit_defaults=True):
    """The answer of a search for runs."""

    runs: list[RunJson] = field(default_factory=list)
    next_page_token: str | None = None


def run_page(page: Page[RunRow]) -> RunPage:
    """A page of stored runs as the answer of runs/search."""
    return RunPage([run_json(row) for row in page.items], page.next_page_token)


def run_json(row: RunRow) -> RunJson:
    """A stored run as MLflow's JSON has it."""
    _, run_id, name, experiment, user, status, start, end, artifact_uri, stage = row.info
    info = _Info(run_id, run_id, name, str(experiment), user, status, start, end, artifact_uri, stage)
    data = _Data(_points(row.metrics), [_Pair(*pair) for pair in row.params], [_Pair(*pair) for pair in row.tags])
    return RunJson(info, data, *_linked(row.links))


def _points(rows: Sequence[tuple[Any, ...]]) -> list[_Point]:
    # a difference with itself is 0 for a number and NaN for what JSON has no number for
    return [_Point(*row) if row[1] - row[1] == 0 else _Point(row[0], write_double(row[1]), *row[2:]) for row in rows]


def _linked(links: Links) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs = {
        name: [to_wire(each) for each in entries]
        for name, entries in (("dataset_inputs", links.datasets), ("model_inputs", links.model_inputs))
        if entries
    }
    outputs = {"model_outputs": [to_wire(each) for each in links.model_outputs]} if links.model_outputs else {}
    return inputs, outputs
