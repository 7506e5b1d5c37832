"""Moving in and out between folders and stores: everything is kept, twice is once, and an interruption is survived."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

import penstock as mlflow
from penstock.api.collecting import gc
from penstock.api.moving.destination import StoreDestination
from penstock.api.moving.mlruns import MlrunsOrigin
from penstock.api.moving.move import move
from penstock.api.moving.origin import RunRecord
from penstock.api.transfer import export_to, import_from
from penstock.ground.entities import Metric
from penstock.ground.errors import Conflict, InvalidInput, NotFound
from penstock.store.open import open_store

RUN = "a" * 32
GONE = "b" * 32
MODEL = "m-" + "c" * 32


def _meta(folder: Path, **fields: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.yaml").write_text(yaml.safe_dump(fields))


def _texts(folder: Path, **values: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in values.items():
        path = folder / key.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)


def _run(home: Path, run_id: str, **fields: object) -> Path:
    folder = home / run_id
    meta = {
        "artifact_uri": f"file:///another/machine/{run_id}/artifacts", "end_time": 2000, "experiment_id": "5",
        "lifecycle_stage": "active", "run_id": run_id, "run_name": "first", "start_time": 1000, "status": 3,
        "user_id": "ada",
    }  # fmt: skip
    _meta(folder, **{**meta, **fields})
    _texts(folder / "params", depth="3", nested__key="line one\nline two")
    _texts(folder / "tags", team="flowers")
    _texts(folder / "metrics", loss="10 1.0 0\n20 0.5 1\n20 0.5 1\n", odd="5 nan 0\n6 inf 0\n7 -inf 0\n", old="9 1\n")
    _texts(folder / "artifacts", a__b="hello", empty="")
    return folder


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    """A folder as MLflow's file store writes it, copied from another machine: the URIs in it lead nowhere."""
    root = tmp_path / "mlruns"
    _meta(root / "0", artifact_location="file:///x/0", experiment_id="0", lifecycle_stage="active", name="Default")
    home = root / "5"
    _meta(
        home, artifact_location="file:///another/machine", creation_time=100, experiment_id="5",
        last_update_time=200, lifecycle_stage="active", name="iris",
    )  # fmt: skip
    _texts(home / "tags", owner="ada")
    folder = _run(home, RUN)
    _run(home, GONE, lifecycle_stage="deleted", deleted_time=3000, run_name="second")
    _meta(
        home / "datasets" / "d1",
        digest="12ab",
        name="rows",
        source="{}",
        source_type="local",
        profile=None,
        schema=None,
    )
    _meta(
        folder / "inputs" / "i1", destination_id=RUN, destination_type="RUN", source_id="d1", source_type="DATASET",
        tags={"mlflow.data.context": "training"},
    )  # fmt: skip
    _meta(
        folder / "outputs" / MODEL, destination_id=MODEL, destination_type="MODEL_OUTPUT", source_id=MODEL,
        source_type="RUN_OUTPUT", step=4, tags={},
    )  # fmt: skip
    model = home / "models" / MODEL
    _meta(
        model, artifact_location="file:///another/machine/model", creation_timestamp=300, experiment_id="5",
        last_updated_timestamp=400, model_id=MODEL, model_type=None, name="net", source_run_id=RUN, status=2,
        status_message=None,
    )  # fmt: skip
    _texts(model / "params", depth="3")
    _texts(model / "metrics", loss=f"10 1.0 0 {RUN}\n11 0.4 1 {RUN} rows 12ab\n")
    _texts(model / "artifacts", MLmodel="flavors: {}")
    trash = root / ".trash" / "7"
    _meta(
        trash, artifact_location="file:///t", creation_time=1, experiment_id="7", lifecycle_stage="deleted", name="old"
    )
    registered = root / "models" / "flowers"
    _meta(registered, creation_timestamp=500, description="all flowers", last_updated_timestamp=600, name="flowers")
    _texts(registered / "aliases", champion="1")
    _texts(registered / "tags", rt="1")
    source = f"file:///another/machine/{RUN}/artifacts/a"
    for number, stage in ((1, "Production"), (2, "Deleted_Internal"), (3, "None")):
        _meta(
            registered / f"version-{number}", creation_timestamp=500, current_stage=stage, description=f"v{number}",
            last_updated_timestamp=600, name="flowers", run_id=RUN, source=source, status="READY", version=number,
        )  # fmt: skip
    _texts(registered / "version-1" / "tags", vt="2")
    return root


def _into(tmp_path: Path) -> dict[str, str]:
    return {"into": f"sqlite:///{tmp_path / 'here.db'}", "artifact_root": str(tmp_path / "here")}


def _check(uri: str, artifacts: str) -> None:
    """Everything of the folder is in the store at ``uri``."""
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment("5")
    assert (experiment.name, experiment.creation_time, experiment.tags) == ("iris", 100, {"owner": "ada"})
    assert client.get_experiment("7").lifecycle_stage == "deleted"
    run = client.get_run(RUN)
    assert (run.info.run_name, run.info.user_id, run.info.status) == ("first", "ada", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1000, 2000)
    assert run.data.params == {"depth": "3", "nested/key": "line one\nline two"}
    assert run.data.tags["team"] == "flowers"
    assert [(each.timestamp, each.value, each.step) for each in client.get_metric_history(RUN, "loss")] == [
        (10, 1.0, 0), (20, 0.5, 1),
    ]  # fmt: skip
    values = {each.timestamp: each.value for each in client.get_metric_history(RUN, "odd")}
    assert math.isnan(values[5])
    assert (values[6], values[7]) == (math.inf, -math.inf)
    assert [each.step for each in client.get_metric_history(RUN, "old")] == [0]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.tags[0].value) == ("rows", "training")
    assert [(each.model_id, each.step) for each in run.outputs.model_outputs] == [(MODEL, 4)]
    assert client.get_run(GONE).info.lifecycle_stage == "deleted"
    model = client.get_logged_model(MODEL)
    assert (model.name, model.status, model.params, model.creation_timestamp) == ("net", "READY", {"depth": "3"}, 300)
    assert {(each.value, each.dataset_name) for each in model.metrics} == {(1.0, None), (0.4, "rows")}
    registered = client.get_registered_model("flowers")
    assert (registered.description, registered.aliases, registered.tags) == (
        "all flowers",
        {"champion": "1"},
        {"rt": "1"},
    )
    versions = {version.version: version for version in client.search_model_versions("name = 'flowers'")}
    assert sorted(versions) == ["1", "3"]
    assert (versions["1"].current_stage, versions["1"].tags, versions["1"].description) == (
        "Production",
        {"vt": "2"},
        "v1",
    )
    assert versions["1"].source == f"{artifacts}/5/{RUN}/artifacts/a"


def test_a_folder_moves_in_whole(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    report = import_from(str(mlruns), **where)
    assert report.agrees, report.lines
    counts = {line.what: line.here for line in report.lines}
    assert (counts["experiments"], counts["runs"], counts["deleted runs"]) == (3, 2, 1)
    assert (counts["points"], counts["versions"], counts["artifacts"]) == (12, 2, 5)
    _check(where["into"], where["artifact_root"])
    client = mlflow.MlflowClient(where["into"])
    assert Path(client.download_artifacts(RUN, "a/b", tmp_path / "got")).read_text() == "hello"
    assert [file.path for file in client.list_logged_model_artifacts(MODEL)] == ["MLmodel"]


def test_moving_in_again_changes_nothing(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    first = import_from(str(mlruns), **where)
    again = import_from(str(mlruns), **where)
    assert (first.unchanged_runs, again.unchanged_runs) == (0, 2)
    assert again.lines == first.lines
    _check(where["into"], where["artifact_root"])


def test_what_changed_there_since_is_brought_up_to_date(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    import_from(str(mlruns), **where)
    with (mlruns / "5" / RUN / "metrics" / "loss").open("a") as file:
        file.write("30 0.1 2\n")
    (mlruns / "5" / RUN / "artifacts" / "new").write_text("new")
    report = import_from(str(mlruns), **where)
    assert report.agrees, report.lines
    assert report.unchanged_runs == 1
    assert mlflow.MlflowClient(where["into"]).get_run(RUN).data.metrics["loss"] == 0.1


def test_a_folder_moves_into_postgres(mlruns: Path, tmp_path: Path, tracking: Path, postgres_cluster: str) -> None:
    postgres_uri = f"{postgres_cluster}/postgres"
    where = {**_into(tmp_path), "into": postgres_uri}
    for _ in range(2):
        report = import_from(str(mlruns), **where)
        assert report.agrees, report.lines
    assert report.unchanged_runs == 2
    _check(postgres_uri, where["artifact_root"])
    client = mlflow.MlflowClient(postgres_uri)
    assert int(client.create_experiment("next")) > 7
    client.delete_run(RUN)
    look = gc(tracking_uri=postgres_uri)
    assert {thing.identity for thing in look.things} == {RUN, GONE, "7"}
    assert gc(tracking_uri=postgres_uri, apply=True).rows == look.rows


class Interrupted(StoreDestination):
    """A destination whose process dies while it writes the second run."""

    runs = 0

    def put_run(self, record: RunRecord, points: Iterable[Metric]) -> None:
        self.runs += 1
        if self.runs == 2:
            raise KeyboardInterrupt
        super().put_run(record, points)


def test_an_interrupted_move_goes_on(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    destination = Interrupted(where["into"], artifact_root=where["artifact_root"])
    with pytest.raises(KeyboardInterrupt):
        move(MlrunsOrigin(mlruns), destination)
    destination.close()
    report = import_from(str(mlruns), **where)
    assert report.agrees, report.lines
    assert report.unchanged_runs == 1
    _check(where["into"], where["artifact_root"])


def test_a_run_that_breaks_off_leaves_nothing_of_itself(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    (mlruns / "5" / RUN / "metrics" / "loss").write_text("10 1.0 0\nnonsense\n")
    with pytest.raises(InvalidInput, match="Line 2 of"):
        import_from(str(mlruns), **where)
    with open_store(where["into"]) as store, pytest.raises(NotFound):
        store.tracking.get_run(RUN)


@pytest.mark.parametrize("content", ["", "a: [", "experiment_id: '5'\n", "\x00"])
def test_a_damaged_meta_file_is_named(content: str, mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    (mlruns / "5" / "meta.yaml").write_text(content)
    with pytest.raises(InvalidInput, match=r"meta\.yaml"):
        import_from(str(mlruns), **_into(tmp_path))


def test_new_things_come_after_those_moved_in(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    import_from(str(mlruns), **where)
    client = mlflow.MlflowClient(where["into"])
    assert int(client.create_experiment("next")) > 7
    assert client.create_model_version("flowers", "s3://b/x").version == "4"


def test_an_experiment_that_would_meet_another_is_refused(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    mlflow.MlflowClient(where["into"]).create_experiment("iris")
    with pytest.raises(Conflict, match="iris"):
        import_from(str(mlruns), **where)


def test_out_and_in_again_is_the_same(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    where = _into(tmp_path)
    import_from(str(mlruns), **where)
    for _ in range(2):
        out = export_to(tmp_path / "out", source=where["into"])
        assert out.agrees, out.lines
    (tmp_path / "second").mkdir()
    again = _into(tmp_path / "second")
    back = import_from(str(tmp_path / "out"), **again)
    assert back.agrees, back.lines
    _check(again["into"], again["artifact_root"])
    assert [line.here for line in out.lines] == [line.here for line in back.lines]


def test_remote_artifacts_stay_where_they_are(mlruns: Path, tmp_path: Path, tracking: Path) -> None:
    _run(mlruns / "5", RUN, artifact_uri="s3://bucket/x/artifacts")
    report = import_from(str(mlruns), **_into(tmp_path))
    assert report.left_in_place == ("s3://bucket/x/artifacts",)
    assert mlflow.MlflowClient(_into(tmp_path)["into"]).get_run(RUN).info.artifact_uri == "s3://bucket/x/artifacts"


@pytest.mark.parametrize(
    ("source", "error"),
    [("/no/such/folder", NotFound), ("sqlite:////no/such.db", NotFound), ("mysql://x/y", InvalidInput)],
)
def test_a_source_that_cannot_be_read_is_told(
    source: str, error: type[Exception], tmp_path: Path, tracking: Path
) -> None:
    with pytest.raises(error):
        import_from(source, **_into(tmp_path))


def test_a_database_of_something_else_is_told(tmp_path: Path, tracking: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE experiments (x)")
    other.close()
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at")
    for name in ("other.db", "text.db"):
        with pytest.raises(InvalidInput):
            import_from(f"sqlite:///{tmp_path / name}", **_into(tmp_path))


def test_things_move_into_a_database_only(mlruns: Path, tracking: Path) -> None:
    with pytest.raises(InvalidInput, match="--into"):
        import_from(str(mlruns), into="http://127.0.0.1:1")
