"""Entities survive MLflow's JSON and back."""

from __future__ import annotations

import math

import msgspec
import pytest

from penstock.ground.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LoggedModel,
    Metric,
    ModelOutput,
    ModelVersion,
    Run,
    RunData,
    RunInfo,
    Tag,
)
from penstock.ground.errors import InvalidInput
from penstock.ground.wire import TABLE, from_wire, to_wire


def test_every_field_of_every_entity_is_in_the_table() -> None:
    for kind, table in TABLE.items():
        assert {field.name for field in table} == set(kind.__struct_fields__), kind


def test_a_run_survives_the_wire() -> None:
    run = Run(
        info=RunInfo(run_id="r", run_name="n", experiment_id="1", artifact_uri="s3://b", start_time_ms=5),
        data=RunData(metrics=(Metric(key="a", value=math.inf, timestamp_ms=1),), tags=(Tag(key="k", value=""),)),
        dataset_inputs=(DatasetInput(dataset=Dataset(name="d", digest="x", source_type="s", source="{}")),),
        model_outputs=(ModelOutput(model_id="m-1", step=3),),
    )
    sent = msgspec.json.decode(msgspec.json.encode(to_wire(run)))
    assert sent["info"]["run_uuid"] == sent["info"]["run_id"] == "r"
    assert sent["data"]["metrics"] == [{"key": "a", "value": "Infinity", "timestamp": 1, "step": 0}]
    assert from_wire(Run, sent) == run


def test_versions_travel_as_text_and_logged_models_in_two_groups() -> None:
    version = ModelVersion(name="m", version=3, creation_time_ms=1, last_update_time_ms=2, source="s3://b")
    assert to_wire(version)["version"] == "3"
    assert from_wire(ModelVersion, to_wire(version)) == version
    model = LoggedModel(
        model_id="m-1", experiment_id="0", name="n", artifact_uri="a", creation_time_ms=1, last_update_time_ms=2
    )
    assert set(to_wire(model)) == {"info"}
    assert from_wire(LoggedModel, to_wire(model)) == model


def test_old_names_and_numbers_as_text_are_read() -> None:
    info = {"run_uuid": "r", "run_name": "n", "experiment_id": 7, "artifact_uri": "a", "start_time": "12"}
    assert from_wire(RunInfo, info).start_time_ms == 12
    assert from_wire(RunInfo, info).experiment_id == "7"


@pytest.mark.parametrize("value", [None, [], {}, {"key": "a", "value": "x", "timestamp": 1}])
def test_what_is_malformed_is_named(value: object) -> None:
    with pytest.raises(InvalidInput):
        from_wire(Metric, value)
    with pytest.raises(InvalidInput, match="lacks"):
        from_wire(Experiment, {"name": "x"})
