"""What the server sends of stored runs is what the wire's table says of their entities."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from penstock.ground.entities import Dataset, DatasetInput, Metric, ModelInput, ModelOutput, Param, Tag
from penstock.ground.wire import to_wire
from penstock.server.run_json import run_json, run_page
from penstock.store.open import open_store


@pytest.mark.parametrize("whole", [True, False])
def test_both_ways_give_the_same_json(tmp_path: Path, whole: bool) -> None:
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        tracking = store.tracking
        run_id = tracking.create_run("0", run_name="r", start_time_ms=5).info.run_id
        if whole:
            values = {"a": 0.1, "b": math.nan, "c": math.inf, "d": -math.inf, "e": -0.0, "f": 1e300}
            tracking.log_batch(
                run_id,
                metrics=[Metric(key=key, value=value, timestamp_ms=1, step=-2) for key, value in values.items()],
                params=[Param(key="p", value='\u00e9"')],
                tags=[Tag(key="t", value="")],
            )
            dataset = Dataset(name="d", digest="x", source_type="local", source="s", schema="{}")
            tracking.log_inputs(
                run_id,
                datasets=[DatasetInput(dataset=dataset, tags=(Tag(key="k", value="v"),))],
                models=[ModelInput(model_id="m-1")],
            )
            tracking.log_outputs(run_id, models=[ModelOutput(model_id="m-2", step=3)])
            tracking.update_run(run_id, end_time_ms=9)
        written = msgspec.json.encode(run_json(tracking.get_run_row(run_id)))
        assert msgspec.json.decode(written) == {"inputs": {}, "outputs": {}, **to_wire(tracking.get_run(run_id))}
        page = msgspec.json.decode(msgspec.json.encode(run_page(tracking.search_run_rows(["0"], limit=1))))
        assert page == {"runs": [{"inputs": {}, "outputs": {}, **to_wire(tracking.get_run(run_id))}]}
        empty = tracking.search_run_rows(["0"], filter="params.p = 'other'")
        assert msgspec.json.encode(run_page(empty)) == b"{}"
