"""A whole notebook that finds no server, and what a server has to hold once it was sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Struct

import penstock
from penstock.api.chosen import chosen
from penstock.api.connection import disconnect_all
from penstock.api.tracking import log_model_folder

POINTS = 1200


class Written(Struct, frozen=True):
    """The ids that the notebook saw."""

    run_id: str
    child_id: str
    model_id: str


def write_while_away(url: str, folder: Path) -> Written:
    """Runs the notebook against ``url``, where nobody answers, to its end."""
    penstock.set_tracking_uri(url)
    with pytest.warns(UserWarning, match="is away"):
        written = _notebook(folder)
    with pytest.warns(UserWarning, match="is away"):
        disconnect_all()
    chosen.reset()
    return written


def _notebook(folder: Path) -> Written:
    model, tree = folder / "model", folder / "tree"
    model.mkdir(parents=True)
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "a.bin").write_bytes(bytes(range(256)) * 4096)
    penstock.set_experiment("rivers")
    with penstock.start_run(run_name="dry", tags={"team": "hydro"}, description="why") as run:
        penstock.log_params({"depth": 3, "empty": ""})
        for step in range(POINTS):
            penstock.log_metric("flow", step / 7, step=step)
        penstock.log_text("low", "notes/level.txt")
        (tree / "b.txt").write_text("first")
        penstock.log_artifacts(tree, "tree")
        (tree / "b.txt").write_text("changed later")
        penstock.log_input(penstock.data.from_numpy(_Array(), name="rows"), context="training")
        with penstock.start_run(nested=True) as child:
            penstock.log_metric("inner", 1)
        (model / "MLmodel").write_text(f"flavors: {{}}\nrun_id: {run.info.run_id}\n")
        info = log_model_folder(model, "net", registered_model_name="flow-model")
        assert info.registered_version is None
    return Written(run.info.run_id, child.info.run_id, info.model_id)


def check_arrived(url: str, written: Written, tmp_path: Path, *, keeps_ids: bool, has_models: bool = True) -> None:
    """Everything is there once, in order, under our ids or under the server's own."""
    client = penstock.MlflowClient(url)
    experiment = client.get_experiment_by_name("rivers")
    assert experiment is not None
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 2
    outer = next(run for run in runs.values() if run.info.run_name == "dry")
    child = next(run for run in runs.values() if run.info.run_name != "dry")
    assert ({outer.info.run_id, child.info.run_id} == {written.run_id, written.child_id}) is keeps_ids
    assert child.data.tags["mlflow.parentRunId"] == outer.info.run_id
    run = client.get_run(outer.info.run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"depth": "3", "empty": ""})
    assert run.data.tags["penstock.run_id"] == written.run_id
    history = client.get_metric_history(outer.info.run_id, "flow")
    assert [(point.step, point.value) for point in history] == [(step, step / 7) for step in range(POINTS)]
    assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["rows"]
    got = Path(client.download_artifacts(outer.info.run_id, "", tmp_path / "got"))
    assert (got / "notes" / "level.txt").read_text() == "low"
    assert (got / "tree" / "b.txt").read_text() == "first"
    assert (got / "tree" / "deep" / "a.bin").read_bytes() == bytes(range(256)) * 4096
    (version,) = client.search_model_versions("name = 'flow-model'")
    assert version.run_id == outer.info.run_id
    if has_models:
        model = client.get_logged_model(version.source.removeprefix("models:/"))
        assert ((model.model_id == written.model_id), model.status) == (keeps_ids, "READY")
        assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
    penstock.set_tracking_uri(url)
    assert f"run_id: {outer.info.run_id}" in (penstock.resolve_model("models:/flow-model/1") / "MLmodel").read_text()


class _Array:
    dtype = "float64"
    shape = (2, 3)
    nbytes = 48

    def tobytes(self) -> bytes:
        return bytes(48)
