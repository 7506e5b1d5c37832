"""Collecting garbage: a look first, then rows and files go together, and what is needed stays."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock as mlflow
from penstock.api.collecting import gc
from penstock.api.tracking import log_model_folder
from penstock.ground.errors import InvalidInput, NotFound

pytestmark = pytest.mark.usefixtures("tracking")


def _run(text: str = "hello") -> str:
    with mlflow.start_run() as run:
        mlflow.log_param("p", 1)
        mlflow.log_metric("m", 1.0)
        mlflow.log_text(text, "a/b.txt")
    return run.info.run_id


def test_a_look_changes_nothing_and_the_deed_takes_exactly_that(tracking: Path) -> None:
    kept, gone = _run(), _run("x" * 100)
    mlflow.delete_run(gone)
    look = gc()
    (thing,) = look.things
    assert (thing.kind, thing.identity, thing.files, thing.size_bytes) == ("run", gone, 1, 100)
    assert look.rows == thing.rows > 4
    assert not look.is_done
    assert mlflow.get_run(gone).info.lifecycle_stage == "deleted"
    done = gc(apply=True)
    assert (done.rows, done.files, done.size_bytes, done.is_done) == (look.rows, 1, 100, True)
    with pytest.raises(NotFound):
        mlflow.get_run(gone)
    assert mlflow.get_run(kept).data.params == {"p": "1"}
    assert [path.parent.parent.parent.name for path in (tracking / "artifacts").rglob("b.txt")] == [kept]
    assert gc(apply=True).things == ()


def test_a_deleted_experiment_goes_with_all_of_its_runs_and_frees_its_name() -> None:
    experiment = mlflow.set_experiment("old")
    run = _run()
    mlflow.delete_experiment(experiment.experiment_id)
    assert {thing.kind for thing in gc().things} == {"run", "experiment"}
    gc(apply=True)
    with pytest.raises(NotFound):
        mlflow.get_run(run)
    assert mlflow.create_experiment("old") != experiment.experiment_id


def test_files_that_are_gone_already_are_no_obstacle(tracking: Path) -> None:
    run = _run()
    mlflow.MlflowClient().delete_run(run)
    (path,) = (tracking / "artifacts").rglob("b.txt")
    path.unlink()
    assert gc(apply=True).problems == ()


def test_young_garbage_is_left_alone() -> None:
    mlflow.delete_run(_run())
    assert gc(apply=True, older_than_days=1).things == ()
    assert len(gc().things) == 1


def test_what_a_registered_version_needs_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    with mlflow.start_run():
        info = log_model_folder(tmp_path / "model", "net", registered_model_name="flowers")
    mlflow.MlflowClient().delete_logged_model(info.model_id)
    report = gc(apply=True)
    assert [(thing.kind, thing.kept_for) for thing in report.things] == [("logged model", "flowers version 1")]
    assert (report.rows, report.files) == (0, 0)


def test_a_server_is_not_collected_from_outside() -> None:
    with pytest.raises(InvalidInput, match="server"):
        gc(tracking_uri="http://127.0.0.1:1")
