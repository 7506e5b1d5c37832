"""Moving in from what the real mlflow wrote, 3.x and 2.x, and out to what it opens and carries on with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.api.moving.database import DatabaseOrigin
from penstock.api.transfer import export_to, import_from
from wire.peers import Peer, our_server, running_peer

FILL = """
    import math
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient()
    mlflow.set_experiment("first")
    client.set_experiment_tag(mlflow.get_experiment_by_name("first").experiment_id, "owner", "ada")
    import pandas
    dataset = mlflow.data.from_pandas(pandas.DataFrame({"x": [1, 2]}), name="rows", source="f.csv")
    runs = []
    for number in range(3):
        with mlflow.start_run(run_name=f"run-{number}", tags={"n": str(number)}) as run:
            mlflow.log_params({"p": number, "long": "x" * 5000})
            client.log_batch(run.info.run_id, metrics=[
                mlflow.entities.Metric("loss", 1 / (step + 1), 1000 + step, step) for step in range(50)])
            mlflow.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf, "a/b c": 1}, step=-1)
            mlflow.log_input(dataset, context="training")
            mlflow.log_text("hello", "deep/er/a.txt")
            mlflow.log_text("", "empty.txt")
            with mlflow.start_run(nested=True):
                pass
        runs.append(run.info.run_id)
    client.set_terminated(runs[1], "FAILED")
    client.delete_run(runs[2])
    gone = client.create_experiment("gone")
    client.create_run(gone)
    client.delete_experiment(gone)
    client.create_registered_model("flowers", tags={"k": "v"}, description="all")
    source = f"{client.get_run(runs[0]).info.artifact_uri}/deep"
    for number in range(3):
        client.create_model_version("flowers", source, runs[0], tags={"n": str(number)}, description=f"v{number}")
    client.delete_model_version("flowers", "2")
    client.set_registered_model_alias("flowers", "champion", "1")
    client.transition_model_version_stage("flowers", "3", "Staging")
    if hasattr(client, "create_logged_model"):
        first = mlflow.get_experiment_by_name("first").experiment_id
        model = client.create_logged_model(first, name="net", source_run_id=runs[0], params={"p": "1"}, tags={"t": "1"})
        client.log_metric(runs[0], "accuracy", 0.9, model_id=model.model_id)
        client.finalize_logged_model(model.model_id, "READY")
"""

# Everything one can ask for, in plain values; times included.
DESCRIBE = """
    from mlflow.entities import ViewType
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient()
    number = lambda value: repr(float(value)).replace("1.7976931348623157e+308", "inf")
    result = {}
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        key = f"experiment {experiment.experiment_id}"
        result[key] = [experiment.name, experiment.lifecycle_stage, experiment.creation_time, dict(experiment.tags)]
        for stage in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY):
            if experiment.lifecycle_stage != "active":
                continue
            for run in client.search_runs([experiment.experiment_id], run_view_type=stage):
                info, data = run.info, run.data
                history = lambda key: client.get_metric_history(info.run_id, key)
                points = {key: [[p.timestamp, p.step, number(p.value)] for p in history(key)] for key in data.metrics}
                files = {}
                if artifacts:
                    for folder in ("", "deep/er"):
                        files.update({f.path: f.file_size for f in client.list_artifacts(info.run_id, folder)})
                result[f"run {info.run_id}"] = [
                    info.run_name, info.status, info.lifecycle_stage, info.start_time, info.end_time, info.user_id,
                    info.experiment_id, dict(data.params), dict(data.tags), points, files,
                    [[i.dataset.name, i.dataset.digest, i.dataset.schema, [t.value for t in i.tags]]
                     for i in run.inputs.dataset_inputs]]
    for model in client.search_registered_models():
        result[f"model {model.name}"] = [
            model.description, dict(model.tags), {key: str(alias) for key, alias in model.aliases.items()},
            model.creation_timestamp]
        for version in client.search_model_versions(f"name = '{model.name}'"):
            result[f"version {model.name} {version.version}"] = [
                version.current_stage, version.run_id, dict(version.tags), version.description,
                version.creation_timestamp]
"""


@pytest.fixture(scope="module", params=["mlflow", "mlflow2"])
def peer(
    request: pytest.FixtureRequest, peer_python: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp(request.param)
    with running_peer(peer_python(request.param), folder, MLFLOW_ALLOW_FILE_STORE="true") as started:
        yield started


@pytest.fixture(scope="module", params=["database", "folder"])
def source(request: pytest.FixtureRequest, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a store that the peer has filled."""
    folder = tmp_path_factory.mktemp("source")
    uri = f"sqlite:///{folder / 'mlflow.db'}" if request.param == "database" else (folder / "mlruns").as_uri()
    peer.run(FILL, uri=uri)
    return uri


def _described(peer: Peer, uri: str, *, artifacts: bool = True) -> Any:
    return peer.run(DESCRIBE, uri=uri, artifacts=artifacts)


def test_in_and_out_keeps_all_that_mlflow_shows(peer: Peer, source: str, tmp_path: Path, state_dir: Path) -> None:
    before = _described(peer, source)
    served = tmp_path / "served"
    into, kept = f"sqlite:///{served / 'penstock.db'}", str(served / "kept")
    report = import_from(source, into=into, artifacts_destination=kept)
    assert report.agrees, report.lines
    again = import_from(source, into=into, artifacts_destination=kept)
    assert again.agrees
    counts = {line.what: line.here for line in again.lines}
    assert again.unchanged_runs == counts["runs"] - 1, "all but the one run that is still RUNNING"
    with our_server(served) as url:
        assert _described(peer, url) == before
    out = export_to(tmp_path / "out", source=into, artifacts_destination=kept)
    assert out.agrees, out.lines
    assert _described(peer, (tmp_path / "out").as_uri()) == before
    carried_on = peer.run(
        """
        mlflow.set_tracking_uri(uri)
        client = MlflowClient()
        run = client.search_runs([mlflow.get_experiment_by_name("first").experiment_id])[0]
        client.log_metric(run.info.run_id, "later", 2.0)
        client.set_registered_model_alias("flowers", "next", "3")
        result = [client.get_run(run.info.run_id).data.metrics["later"],
                  str(client.get_model_version_by_alias("flowers", "next").version)]
        """,
        uri=(tmp_path / "out").as_uri(),
    )
    assert carried_on == [2.0, "3"]


def test_a_live_server_moves_in(peer: Peer, source: str, tmp_path: Path, state_dir: Path) -> None:
    """From one of our servers, so that this stays quick; tests/wire/test_mlflow_servers.py does it from a stock one."""
    served = tmp_path / "served"
    into, kept = f"sqlite:///{served / 'penstock.db'}", str(served / "kept")
    import_from(source, into=into, artifacts_destination=kept)
    with our_server(served) as url:
        report = import_from(url, into=f"sqlite:///{tmp_path / 'second.db'}", artifact_root=str(tmp_path / "second"))
    assert report.agrees, report.lines
    store = f"sqlite:///{tmp_path / 'second.db'}"
    client = penstock.MlflowClient(store)
    found = client.search_runs([client.get_experiment_by_name("first").experiment_id], "run_name = 'run-0'")
    assert len(client.get_metric_history(found[0].info.run_id, "loss")) == 50
    assert (
        Path(client.download_artifacts(found[0].info.run_id, "deep/er/a.txt", tmp_path / "got")).read_text() == "hello"
    )


def test_the_same_tables_in_postgres_read_the_same(source: str, postgres_cluster: str, peer: Peer) -> None:
    """MLflow's tables, copied row by row: mlflow itself would need a driver that its environment lacks."""
    if not source.startswith("sqlite"):
        pytest.skip("only databases have tables")
    psycopg = pytest.importorskip("psycopg")
    name = f"mlflow{peer.version[0]}"
    with psycopg.connect(f"{postgres_cluster}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    uri = f"{postgres_cluster}/{name}"
    with sqlite3.connect(source.removeprefix("sqlite:///")) as there, psycopg.connect(uri) as here:
        for (table,) in there.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            _copy_table(table, there, here)
    there.close()
    assert _records(DatabaseOrigin(uri)) == _records(DatabaseOrigin(source))


def _copy_table(table: str, there: sqlite3.Connection, here: Any) -> None:
    columns = [(row[1], _postgres_type(row[2])) for row in there.execute(f"PRAGMA table_info({table})")]
    described = ", ".join(f'"{column}" {kind}' for column, kind in columns)
    here.execute(f'CREATE TABLE "{table}" ({described})')
    marks = ", ".join("%s" for _ in columns)
    for row in there.execute(f"SELECT * FROM {table}").fetchall():
        values = [
            bool(value) if kind == "boolean" and value is not None else value
            for value, (_, kind) in zip(row, columns, strict=True)
        ]
        here.execute(f'INSERT INTO "{table}" VALUES ({marks})', values)


def _postgres_type(kind: str) -> str:
    known = {"INTEGER": "bigint", "BIGINT": "bigint", "FLOAT": "double precision", "BOOLEAN": "boolean"}
    return known.get(kind, "text")


def _records(origin: DatabaseOrigin) -> str:
    """Everything that moves out of the origin, as text: NaN equals nothing but its name."""
    found: list[object] = []
    for experiment in origin.experiments():
        runs = sorted(origin.runs(experiment), key=lambda record: record.run.info.run_id)
        found += [experiment, *runs, *origin.logged_models(experiment)]
        for record in runs:
            found += sorted(map(repr, origin.points(record.run)))
    for model in origin.registered_models():
        found += [model, *origin.versions(model)]
    origin.close()
    return "\n".join(map(repr, found))
