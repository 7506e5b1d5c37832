"""Databases that MLflow 1.2.0, 1.30.1, 2.0.1 and 3.1.4 wrote themselves, dumped as SQL, move in without loss."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

import penstock
from penstock.api.transfer import import_from

DUMPS = Path(__file__).parent / "mlflow_databases"
COUNTS = {"experiments": 3, "runs": 6, "deleted runs": 1, "params": 9, "points": 69}
REGISTRY = {  # models, versions, aliases: 1.2.0 had no registry, and aliases came with 2.3
    "1.2.0": (0, 0, 0),
    "1.30.1": (1, 2, 0),
    "2.0.1": (1, 2, 0),
    "3.1.4": (1, 2, 1),
}


@pytest.mark.parametrize("version", sorted(REGISTRY))
def test_a_database_of_any_age_moves_in_whole(version: str, tmp_path: Path, tracking: Path) -> None:
    source = _restored(version, tmp_path)
    into = f"sqlite:///{tmp_path / 'here.db'}"
    report = import_from(source, into=into, artifact_root=str(tmp_path / "here"))
    assert report.agrees, report.lines
    counts = {line.what: line.here for line in report.lines}
    assert {what: counts[what] for what in COUNTS} == COUNTS
    assert tuple(counts[what] for what in ("registered models", "versions", "aliases")) == REGISTRY[version]
    assert counts["artifacts"] == 1
    client = penstock.MlflowClient(into)
    study = client.get_experiment_by_name("study")
    assert study is not None
    run = next(run for run in client.search_runs([study.experiment_id]) if run.data.params.get("depth") == "0")
    assert (run.info.status, run.data.tags["team"], run.data.metrics["up"]) == ("FINISHED", "hydro", math.inf)
    assert math.isnan(run.data.metrics["nan"])
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(20))
    if REGISTRY[version][0]:
        assert client.get_model_version("net", 1).current_stage == "Production"
    again = import_from(source, into=into, artifact_root=str(tmp_path / "here"))
    assert again.agrees


def _restored(version: str, folder: Path) -> str:
    """The URI of the database as MLflow left it, with one artifact where it says that a run's artifacts are."""
    text = (DUMPS / f"{version}.sql").read_text().replace("@FOLDER@", str(folder / "there"))
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as database:
        database.executescript(text)
        uri = database.execute("SELECT artifact_uri FROM runs WHERE lifecycle_stage = 'active' LIMIT 1").fetchone()[0]
    database.close()
    (Path(uri) / "notes").mkdir(parents=True)
    (Path(uri) / "notes" / "note.txt").write_text("high water")
    return f"sqlite:///{path}"
