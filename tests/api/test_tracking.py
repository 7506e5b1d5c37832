"""The common notebook, through the front door, against a database of this process."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pandas
import pytest

import penstock as mlflow
from penstock.ground.errors import AlreadyExists, EnvironmentMismatch, InvalidInput, NotFound

pytestmark = pytest.mark.usefixtures("tracking")


def test_the_common_notebook_runs(tmp_path: Path) -> None:
    mlflow.set_experiment("iris")
    with mlflow.start_run(run_name="first", tags={"team": "flowers"}, description="a note") as run:
        assert mlflow.log_param("depth", 3) == 3
        mlflow.log_params({"criterion": "gini", "seed": None})
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"accuracy": 0.9, "f1": numpy.float32(0.5)}, step=2)
        mlflow.set_tag("stage", "dev")
        mlflow.set_tags({"a": 1, "b": True})
    kept = mlflow.get_run(run.info.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "first"
    assert kept.info.end_time is not None
    assert kept.info.end_time >= kept.info.start_time
    assert kept.data.params == {"depth": "3", "criterion": "gini", "seed": "None"}
    assert kept.data.metrics == {"loss": 1 / 3, "accuracy": 0.9, "f1": 0.5}
    tags = kept.data.tags
    assert (tags["team"], tags["stage"], tags["a"], tags["b"]) == ("flowers", "dev", "1", "True")
    assert tags["mlflow.note.content"] == "a note"
    assert tags["mlflow.runName"] == "first"
    assert [
        (point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    ] == [
        (0, 1.0),
        (1, 0.5),
        (2, 1 / 3),
    ]


def test_nan_and_infinities_survive() -> None:
    with mlflow.start_run() as run:
        mlflow.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf})
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert math.isnan(metrics["nan"])
    assert (metrics["up"], metrics["down"]) == (math.inf, -math.inf)


def test_a_chosen_place_holds_for_clients_too(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'chosen.db'}"
    mlflow.set_tracking_uri(uri)
    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == mlflow.MlflowClient().tracking_uri == uri
    with mlflow.start_run() as run:
        pass
    assert mlflow.MlflowClient().get_run(run.info.run_id).info.status == "FINISHED"
    mlflow.set_registry_uri(f"sqlite:///{tmp_path / 'registry.db'}")
    mlflow.MlflowClient().create_registered_model("m")
    assert mlflow.MlflowClient(uri, uri).search_registered_models() == []


def test_nested_runs_know_their_parent() -> None:
    with mlflow.start_run() as parent:
        with pytest.raises(InvalidInput, match="nested=True"):
            mlflow.start_run()
        with mlflow.start_run(nested=True) as child:
            mlflow.log_param("of", "child")
        mlflow.log_param("of", "parent")
    assert mlflow.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert mlflow.get_run(parent.info.run_id).data.params == {"of": "parent"}
    found = mlflow.get_parent_run(child.info.run_id)
    assert found.info.run_id == parent.info.run_id
    assert mlflow.get_parent_run(parent.info.run_id) is None


def test_a_block_that_raises_leaves_a_failed_run() -> None:
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None
    assert mlflow.last_active_run().info.run_id == run.info.run_id


def test_a_run_is_opened_again() -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1.0)
    with mlflow.start_run(run_id=run.info.run_id):
        assert mlflow.get_run(run.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("m", 2.0, step=1)
    kept = mlflow.get_run(run.info.run_id)
    assert (kept.info.status, kept.data.metrics) == ("FINISHED", {"m": 2.0})


def test_logging_without_a_run_starts_one() -> None:
    mlflow.log_param("p", 1)
    run = mlflow.active_run()
    assert run is not None
    mlflow.end_run("KILLED")
    assert mlflow.get_run(run.info.run_id).info.status == "KILLED"


def test_threads_have_runs_of_their_own() -> None:
    seen: list[str | None] = []

    def work() -> None:
        seen.append(None if mlflow.active_run() is None else "the parent's")
        with mlflow.start_run():
            mlflow.log_metric("m", 1.0)

    with mlflow.start_run():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [None]
    assert len(mlflow.search_runs(output_format="list")) == 2


@pytest.mark.parametrize("value", [True, "0.5", None, numpy.array([1.0, 2.0]), object()])
def test_what_is_no_number_is_no_metric(value: object) -> None:
    with mlflow.start_run(), pytest.raises(InvalidInput, match="no number"):
        mlflow.log_metric("m", value)


@pytest.mark.parametrize("key", ["", "a//b", "../x", "a\nb", "x" * 251, "ü;"])
def test_a_bad_key_is_refused_where_it_was_given(key: str) -> None:
    with mlflow.start_run():
        for log in (mlflow.log_metric, mlflow.log_param, mlflow.set_tag):
            with pytest.raises(InvalidInput):
                log(key, 1.0)


def test_a_changed_param_is_refused_and_takes_nothing_else_along() -> None:
    run = mlflow.start_run()
    mlflow.log_param("p", 1)
    mlflow.log_param("p", 2)
    mlflow.log_metric("m", 1.0)
    mlflow.log_param("q", 1)
    with pytest.raises(InvalidInput, match="p"):
        mlflow.end_run()
    kept = mlflow.get_run(run.info.run_id)
    assert (kept.data.params, kept.data.metrics) == ({"p": "1", "q": "1"}, {"m": 1.0})
    assert kept.info.status == "FINISHED"


def test_synchronous_logging_raises_at_once() -> None:
    with mlflow.start_run():
        mlflow.log_param("p", 1, synchronous=True)
        with pytest.raises(InvalidInput):
            mlflow.log_param("p", 2, synchronous=True)


def test_search_gives_a_frame_or_a_list() -> None:
    mlflow.set_experiment("searched")
    for number in range(3):
        with mlflow.start_run(run_name=f"run-{number}"):
            mlflow.log_metric("m", number)
            mlflow.log_param("only" if number == 2 else "p", number)
    frame = mlflow.search_runs(order_by=["metrics.m DESC"])
    assert list(frame["metrics.m"]) == [2.0, 1.0, 0.0]
    assert pandas.isna(frame["params.p"][0])
    assert list(frame["params.p"][1:]) == ["1", "0"]
    assert str(frame["start_time"].dt.tz) == "UTC"
    assert frame.columns[:6].tolist() == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    found = mlflow.search_runs(filter_string="metrics.m >= 1", output_format="list", experiment_names=["searched"])
    assert sorted(run.info.run_name for run in found) == ["run-1", "run-2"]
    assert len(mlflow.search_runs(max_results=2)) == 2
    assert isinstance(mlflow.search_runs(filter_string="metrics.m > 9"), pandas.DataFrame)
    assert len(mlflow.search_runs(search_all_experiments=True, output_format="list")) == 3
    with pytest.raises(NotFound, match="Near matches: searched"):
        mlflow.search_runs(experiment_names=["serched"])
    with pytest.raises(InvalidInput):
        mlflow.search_runs(output_format="xml")


def test_experiments_are_made_found_deleted_and_restored() -> None:
    identity = mlflow.create_experiment("e", tags={"k": "v"})
    with pytest.raises(AlreadyExists):
        mlflow.create_experiment("e")
    assert mlflow.get_experiment(identity).tags == {"k": "v"}
    mlflow.set_experiment(experiment_id=identity)
    mlflow.set_experiment_tag("k", "w")
    assert mlflow.get_experiment_by_name("e").tags == {"k": "w"}
    mlflow.delete_experiment(identity)
    with pytest.raises(InvalidInput, match="restore_experiment"):
        mlflow.set_experiment("e")
    mlflow.MlflowClient().restore_experiment(identity)
    assert mlflow.set_experiment("e").experiment_id == identity
    assert mlflow.get_experiment_by_name("nothing") is None
    assert [each.name for each in mlflow.search_experiments(filter_string="name = 'e'")] == ["e"]


def test_artifacts_of_every_kind_are_kept(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.txt").write_text("x")
    figure = Figure()
    figure.subplots().plot([1, 2])
    with mlflow.start_run() as run:
        mlflow.log_text("héllo", "notes/a.txt")
        mlflow.log_dict({"k": [1, 2]}, "d.json")
        mlflow.log_dict({"k": [1, 2]}, "d.yaml")
        mlflow.log_figure(figure, "plots/f.png")
        mlflow.log_artifact(tmp_path / "folder" / "x.txt", "deep/er")
        mlflow.log_artifacts(tmp_path / "folder", "all")
        mlflow.log_artifact(tmp_path / "folder")
        mlflow.log_table({"a": [1, 2], "b": ["x", "y"]}, "t.json")
        mlflow.log_table({"a": 3, "b": "z"}, "t.json")
        uri = mlflow.get_artifact_uri("notes/a.txt")
    run_id = run.info.run_id
    assert [info.path for info in mlflow.list_artifacts(run_id=run_id)] == [
        "all", "d.json", "d.yaml", "deep", "folder", "notes", "plots", "t.json",
    ]  # fmt: skip
    assert mlflow.load_text(f"runs:/{run_id}/notes/a.txt") == "héllo"
    assert mlflow.load_text(uri) == "héllo"
    assert mlflow.load_dict(f"runs:/{run_id}/d.yaml") == mlflow.load_dict(f"runs:/{run_id}/d.json") == {"k": [1, 2]}
    assert mlflow.load_dict(f"runs:/{run_id}/t.json")["data"] == [[1, "x"], [2, "y"], [3, "z"]]
    got = Path(mlflow.download_artifacts(run_id=run_id, artifact_path="plots", dst_path=tmp_path / "got"))
    assert (got / "f.png").read_bytes().startswith(b"\x89PNG")
    client = mlflow.MlflowClient()
    assert Path(client.download_artifacts(run_id, "deep/er/x.txt", tmp_path / "one")).read_text() == "x"
    with pytest.raises(NotFound):
        mlflow.log_artifact(tmp_path / "absent")
    mlflow.end_run()


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a\\x", "%2e%2e/x"])
def test_an_artifact_cannot_leave_its_run(path: str, tracking: Path) -> None:
    with mlflow.start_run(), pytest.raises(InvalidInput):
        mlflow.log_text("x", path)
    assert [entry for entry in tracking.rglob("*") if entry.name == "x"] == []


def test_datasets_are_linked() -> None:
    frame = pandas.DataFrame({"a": [1, 2]})
    dataset = mlflow.data.from_pandas(frame, name="rows", source="file.csv")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
        mlflow.log_inputs([mlflow.data.from_numpy(numpy.zeros((2, 3)), name="zeros")], ["testing"], [{"k": "v"}])
        mlflow.log_metric("m", 1.0, dataset=dataset)
    inputs = {each.dataset.name: each for each in mlflow.get_run(run.info.run_id).inputs.dataset_inputs}
    assert set(inputs) == {"rows", "zeros"}
    assert json.loads(inputs["rows"].dataset.schema) == {"mlflow_colspec": [{"type": "int64", "name": "a"}]}
    assert {tag.key: tag.value for tag in inputs["zeros"].tags} == {"mlflow.data.context": "testing", "k": "v"}
    assert mlflow.data.from_pandas(frame).digest == dataset.digest
    assert mlflow.data.from_pandas(frame + 1).digest != dataset.digest


def test_ten_thousand_metrics_are_all_kept_in_order() -> None:
    with mlflow.start_run() as run:
        for step in range(10_000):
            mlflow.log_metric("m", step, step=step, timestamp=step)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "m")
    assert [point.value for point in history] == list(range(10_000))


def test_a_frame_without_pandas_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['pandas'] = None\n"
        "import penstock\n"
        "with penstock.start_run(): penstock.log_metric('m', 1)\n"
        "assert len(penstock.search_runs(output_format='list')) == 1\n"
        "penstock.search_runs()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert EnvironmentMismatch.__name__ in ended.stderr
    assert "output_format='list'" in ended.stderr


@pytest.mark.parametrize(("ending", "status"), [("", "FINISHED"), ("1/0", "FAILED")])
def test_a_program_that_ends_flushes_and_ends_its_run(ending: str, status: str) -> None:
    script = (
        "import penstock as m\n"
        "print(m.start_run().info.run_id)\n"
        f"for i in range(500): m.log_metric('m', i, step=i)\n{ending}"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    run_id = ended.stdout.split()[0]
    assert mlflow.get_run(run_id).info.status == status
    assert len(mlflow.MlflowClient().get_metric_history(run_id, "m")) == 500


def test_a_forked_child_logs_to_the_same_run() -> None:
    script = (
        "import os, penstock as m\n"
        "run = m.start_run()\n"
        "m.log_metric('parent', 1.0, synchronous=True)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    m.MlflowClient().log_metric(run.info.run_id, 'child', 2.0, synchronous=True)\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "m.log_metric('parent', 3.0, step=1)\n"
        "m.end_run()\n"
        "print(m.get_run(run.info.run_id).data.metrics)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "{'child': 2.0, 'parent': 3.0}", ended.stderr
