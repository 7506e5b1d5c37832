"""The unmodified mlflow client, 3.x and 2.x, against our server: what it logs it reads back, by its own account."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.api.chosen import chosen
from penstock.api.connection import disconnect_all
from wire.peers import Peer, our_server, running_peer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with our_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module", params=["mlflow", "mlflow2"])
def peer(
    request: pytest.FixtureRequest,
    server: str,
    peer_python: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp(request.param)
    with running_peer(peer_python(request.param), folder, MLFLOW_TRACKING_URI=server) as started:
        yield started


@pytest.fixture
def experiment(peer: Peer, request: pytest.FixtureRequest) -> str:
    """A new experiment's name, in force in the peer."""
    name = f"{request.node.name}-{'.'.join(map(str, peer.version))}"
    peer.run("mlflow.set_experiment(name)", name=name)
    return name


def test_runs_params_metrics_and_tags(peer: Peer, experiment: str) -> None:
    got = peer.run("""
        import math
        with mlflow.start_run(run_name="outer", tags={"a": "1"}, description="why") as outer:
            mlflow.log_param("depth", 3)
            mlflow.log_params({"long": "x" * 6000, "empty": ""})
            for step in range(5):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf}, step=-3)
            mlflow.set_tags({"b": "2", "gone": "x"})
            mlflow.delete_tag("gone")
            with mlflow.start_run(nested=True) as inner:
                mlflow.log_metric("m", 1)
        run = mlflow.get_run(outer.info.run_id)
        client = MlflowClient()
        assert run.info.status == "FINISHED" and run.info.run_name == "outer"
        assert run.data.params == {"depth": "3", "long": "x" * 6000, "empty": ""}
        assert run.data.metrics["loss"] == 0.2 and math.isnan(run.data.metrics["nan"])
        assert run.data.metrics["up"] == math.inf and run.data.metrics["down"] == -math.inf
        assert [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "loss")] == [
            (step, 1 / (step + 1)) for step in range(5)]
        assert client.get_metric_history(run.info.run_id, "up")[0].step == -3
        assert run.data.tags["mlflow.note.content"] == "why" and "gone" not in run.data.tags
        assert mlflow.get_parent_run(inner.info.run_id).info.run_id == run.info.run_id
        try:
            client.log_param(run.info.run_id, "depth", 4)
            result = "changed"
        except Exception as error:
            result = str(error)
    """)
    assert "Changing param values is not allowed" in got


def test_batches_at_their_limits(peer: Peer, experiment: str) -> None:
    refused = peer.run("""
        from mlflow.entities import Metric, Param, RunTag
        client = MlflowClient()
        run = mlflow.start_run()
        run_id = run.info.run_id
        points = lambda count: [Metric("m", i, i, i) for i in range(count)]
        client.log_batch(run_id, metrics=points(1000))
        client.log_batch(run_id, metrics=points(800), params=[Param(f"p{i}", str(i)) for i in range(100)],
                         tags=[RunTag(f"t{i}", str(i)) for i in range(100)])
        assert len(client.get_metric_history(run_id, "m")) == 1000
        assert len(client.get_run(run_id).data.params) == 100
        result = []
        for items in ({"metrics": points(1001)}, {"params": [Param(f"q{i}", "1") for i in range(101)]},
                      {"tags": [RunTag(f"u{i}", "1") for i in range(101)]},
                      {"params": [Param("same", "1"), Param("same", "2")]},
                      {"metrics": [Metric("../up", 1, 1, 1)]}, {"params": [Param("x" * 251, "1")]}):
            try:
                client._tracking_client.store.log_batch(run_id, **{"metrics": [], "params": [], "tags": [], **items})
                result.append("taken")
            except mlflow.exceptions.MlflowException as error:
                result.append(error.error_code)
        assert len(client.get_run(run_id).data.params) == 100
    """)
    assert refused == ["INVALID_PARAMETER_VALUE"] * 6


def test_artifacts_from_nothing_to_100_megabytes(peer: Peer, experiment: str) -> None:
    peer.run("""
        import hashlib, os, pathlib, tempfile
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "sub dir").mkdir()
        (folder / "empty").write_bytes(b"")
        (folder / "sub dir" / "größe & 100%.txt").write_text("text")
        big = os.urandom(1 << 20) * 100
        (folder / "big.bin").write_bytes(big)
        client = MlflowClient()
        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(folder), "all")
            mlflow.log_text("hello", "notes/a.txt")
            mlflow.log_dict({"k": 1}, "d.json")
        run_id = run.info.run_id
        assert sorted(f.path for f in client.list_artifacts(run_id)) == ["all", "d.json", "notes"]
        assert {(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id, "all")} == {
            ("all/empty", False, 0), ("all/big.bin", False, len(big)), ("all/sub dir", True, None)}
        assert client.list_artifacts(run_id, "all/empty") == []
        got = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="all"))
        assert hashlib.sha256((got / "big.bin").read_bytes()).digest() == hashlib.sha256(big).digest()
        assert (got / "empty").read_bytes() == b""
        assert (got / "sub dir" / "größe & 100%.txt").read_text() == "text"
        assert mlflow.artifacts.load_dict(f"runs:/{run_id}/d.json") == {"k": 1}
        try:
            client.download_artifacts(run_id, "nothing")
            raise AssertionError("found")
        except (mlflow.exceptions.MlflowException, OSError):
            pass
    """)


def test_sklearn_models_are_logged_loaded_and_autologged(peer: Peer, experiment: str) -> None:
    peer.run("""
        import numpy
        from mlflow.models import infer_signature
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        X, y = load_iris(return_X_y=True, as_frame=True)
        model = LogisticRegression(max_iter=500).fit(X, y)
        signature = infer_signature(X, model.predict(X))
        name = f"iris-{'-'.join(mlflow.__version__.split('.'))}"
        named = {"name": "model"} if int(mlflow.__version__[0]) >= 3 else {"artifact_path": "model"}
        with mlflow.start_run() as run:
            mlflow.log_metric("accuracy", 0.9)
            info = mlflow.sklearn.log_model(model, signature=signature, input_example=X.head(2),
                                            registered_model_name=name, pip_requirements=["scikit-learn"], **named)
        client = MlflowClient()
        client.set_registered_model_alias(name, "champion", "1")
        for uri in (info.model_uri, f"runs:/{run.info.run_id}/model", f"models:/{name}/1", f"models:/{name}@champion",
                    f"models:/{name}/latest"):
            loaded = mlflow.pyfunc.load_model(uri)
            assert numpy.array_equal(loaded.predict(X), model.predict(X)), uri
        assert mlflow.models.get_model_info(f"models:/{name}/1").signature is not None
        if int(mlflow.__version__[0]) >= 3:
            found = mlflow.search_logged_models(
                experiment_ids=[run.info.experiment_id], filter_string="metrics.accuracy > 0.5", output_format="list")
            assert [each.name for each in found] == ["model"]
        mlflow.sklearn.autolog(log_models=True)
        try:
            with mlflow.start_run() as auto:
                LogisticRegression(max_iter=400).fit(X, y)
        finally:
            mlflow.sklearn.autolog(disable=True)
        kept = client.get_run(auto.info.run_id)
        assert kept.data.params["max_iter"] == "400"
        assert "training_score" in kept.data.metrics and kept.inputs.dataset_inputs
    """)


def test_datasets(peer: Peer, experiment: str) -> None:
    peer.run("""
        import pandas
        frame = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
        dataset = mlflow.data.from_pandas(frame, source="file.csv", name="rows")
        with mlflow.start_run() as run:
            mlflow.log_input(dataset, context="training", tags={"k": "v"})
            mlflow.log_input(dataset, context="training")
        (linked,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
        assert (linked.dataset.name, linked.dataset.digest) == ("rows", dataset.digest)
        assert linked.dataset.schema == dataset._to_mlflow_entity().schema
        assert {tag.key: tag.value for tag in linked.tags}["mlflow.data.context"] == "training"
        for text in ("dataset.name = 'rows'", f"dataset.digest = '{dataset.digest}'", "dataset.context = 'training'",
                     "datasets.name LIKE 'ro%'", "dataset.name IN ('rows', 'x')"):
            assert len(mlflow.search_runs(filter_string=text)) == 1, text
        assert len(mlflow.search_runs(filter_string="dataset.name = 'other'")) == 0
    """)


SEARCHES = {
    "": "012",
    "metrics.m > 1": "2",
    "metrics.m >= 1": "12",
    "metrics.m < 1": "0",
    "metrics.m <= 1": "01",
    "metrics.m = 1": "1",
    "metrics.m != 1": "02",
    "metric.`with space` = 5": "1",
    'metrics."with space" = 5': "1",
    "params.p = 'one'": "1",
    "params.p != 'one'": "02",
    "params.p LIKE 'o%'": "1",
    "params.p LIKE 'O%'": "",
    "params.p ILIKE 'O%'": "1",
    "param.p = 'one' AND metrics.m = 1 AND tags.t = 'T1'": "1",
    "param.p = 'one' AND metrics.m = 2": "",
    "tags.t = 'T0'": "0",
    "tag.t LIKE '%1'": "1",
    "tags.only IS NULL": "02",
    "tags.only IS NOT NULL": "1",
    "params.only IS NULL": "01",
    "attributes.run_name = 'run-2'": "2",
    "run_name LIKE 'run-%'": "012",
    "attributes.status = 'FINISHED'": "02",
    "status != 'FINISHED'": "1",
    "attributes.start_time > 0": "012",
    "attributes.end_time < 1": "",
    "tags.`mlflow.runName` ILIKE 'RUN-0'": "0",
}


def test_search_with_every_operator(peer: Peer, experiment: str) -> None:
    got = peer.run(
        """
        client = MlflowClient()
        ids = {}
        for number, word in enumerate(("zero", "one", "two")):
            with mlflow.start_run(run_name=f"run-{number}") as run:
                mlflow.log_metric("m", number)
                mlflow.log_param("p", word)
                mlflow.set_tag("t", f"T{number}")
                if number == 1:
                    mlflow.log_metric("with space", 5)
                    mlflow.set_tag("only", "here")
                if number == 2:
                    mlflow.log_param("only", "here")
            ids[run.info.run_id] = str(number)
        failed = list(ids)[1]
        client.set_terminated(failed, "FAILED")
        found = lambda text, **more: mlflow.search_runs(filter_string=text, output_format="list", **more)
        result = {text: "".join(sorted(ids[run.info.run_id] for run in found(text))) for text in searches}
        first, second, third = ids
        assert {run.info.run_id for run in found(f"attributes.run_id IN ('{first}', '{third}')")} == {first, third}
        assert [run.info.run_id for run in found("", order_by=["metrics.m DESC"])] == [third, second, first]
        assert [run.info.run_id for run in found("", order_by=["params.only", "attributes.start_time ASC"])][0] == third
        assert [run.info.run_id for run in found("")] == [third, second, first]
        errors = []
        for text in ("metrics.m > 'x'", "params.p = 1", "nonsense", "metrics.m > 1 OR metrics.m < 0", "x.y = 1"):
            try:
                found(text)
            except mlflow.exceptions.MlflowException as error:
                errors.append(error.error_code)
        assert errors == ["INVALID_PARAMETER_VALUE"] * 5, errors
        """,
        searches=list(SEARCHES),
    )
    assert got == SEARCHES


def test_paging_walks_every_run_once(peer: Peer, experiment: str) -> None:
    peer.run("""
        client = MlflowClient()
        exp = mlflow.get_experiment_by_name(name).experiment_id
        made = {client.create_run(exp, start_time=1000 + i // 3).info.run_id for i in range(23)}
        seen, token, pages = [], None, 0
        while True:
            page = client.search_runs([exp], max_results=5, page_token=token)
            seen += [run.info.run_id for run in page]
            pages, token = pages + 1, page.token
            if not token:
                break
        assert len(seen) == 23 and set(seen) == made and pages == 5
        for i in range(7):
            client.create_experiment(f"{name}-page-{i}")
        found, token = [], None
        while True:
            text = f"name LIKE '{name}-page-%'"
            page = client.search_experiments(filter_string=text, max_results=3, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        assert len(found) == 7
    """, name=experiment)  # fmt: skip


def test_the_registry_aliases_and_stages(peer: Peer, experiment: str) -> None:
    peer.run("""
        client = MlflowClient()
        model = f"model {name}"
        client.create_registered_model(model, tags={"k": "v"}, description="first")
        with mlflow.start_run() as run:
            mlflow.log_text("x", "model/MLmodel")
        source = f"{run.info.artifact_uri}/model"
        versions = [client.create_model_version(model, source, run.info.run_id, tags={"n": str(i)}) for i in range(3)]
        assert [str(each.version) for each in versions] == ["1", "2", "3"]
        try:
            client.create_registered_model(model)
            raise AssertionError("twice")
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == "RESOURCE_ALREADY_EXISTS"
        client.set_registered_model_alias(model, "champion", "2")
        assert str(client.get_model_version_by_alias(model, "champion").version) == "2"
        assert client.get_registered_model(model).aliases in ({"champion": "2"}, {"champion": 2})
        client.set_registered_model_alias(model, "champion", "1")
        client.delete_registered_model_alias(model, "champion")
        try:
            client.get_model_version_by_alias(model, "champion")
            raise AssertionError("still there")
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == "INVALID_PARAMETER_VALUE"
        client.transition_model_version_stage(model, "1", "Production")
        client.transition_model_version_stage(model, "2", "production", archive_existing_versions=True)
        assert client.get_model_version(model, "1").current_stage == "Archived"
        assert [str(v.version) for v in client.get_latest_versions(model, ["Production"])] == ["2"]
        client.update_model_version(model, "2", "better")
        client.set_model_version_tag(model, "2", "x", "y")
        client.delete_model_version_tag(model, "2", "n")
        second = client.get_model_version(model, "2")
        assert (second.description, second.tags, second.run_id) == ("better", {"x": "y"}, run.info.run_id)
        assert client.get_model_version_download_uri(model, "2") == source
        assert len(client.search_model_versions(f"name = '{model}'")) == 3
        assert [m.name for m in client.search_registered_models(f"name = '{model}'")] == [model]
        assert [m.name for m in client.search_registered_models("tags.k = 'v'") if m.name == model] == [model]
        client.delete_model_version(model, "3")
        assert str(client.create_model_version(model, source, run.info.run_id).version) == "4"
        client.rename_registered_model(model, model + " renamed")
        assert len(client.search_model_versions(f"name = '{model} renamed'")) == 3
        client.update_registered_model(model + " renamed", "second")
        client.delete_registered_model(model + " renamed")
        try:
            client.get_registered_model(model + " renamed")
            raise AssertionError("still there")
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == "RESOURCE_DOES_NOT_EXIST"
    """, name=experiment)  # fmt: skip


def test_delete_and_restore(peer: Peer, experiment: str) -> None:
    peer.run("""
        from mlflow.entities import ViewType
        client = MlflowClient()
        exp = mlflow.get_experiment_by_name(name).experiment_id
        with mlflow.start_run() as run:
            mlflow.log_param("p", 1)
        run_id = run.info.run_id
        client.delete_run(run_id)
        assert client.get_run(run_id).info.lifecycle_stage == "deleted"
        assert client.search_runs([exp]) == []
        assert len(client.search_runs([exp], run_view_type=ViewType.DELETED_ONLY)) == 1
        try:
            client.log_metric(run_id, "m", 1)
            raise AssertionError("logged")
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == "INVALID_PARAMETER_VALUE"
        client.restore_run(run_id)
        assert len(client.search_runs([exp])) == 1
        client.delete_experiment(exp)
        assert mlflow.get_experiment_by_name(name).lifecycle_stage == "deleted"
        assert client.get_run(run_id).info.lifecycle_stage == "deleted"
        try:
            mlflow.set_experiment(name)
            raise AssertionError("set")
        except mlflow.exceptions.MlflowException:
            pass
        client.restore_experiment(exp)
        assert client.get_run(run_id).info.lifecycle_stage == "active"
        client.rename_experiment(exp, name + " renamed")
        assert mlflow.get_experiment_by_name(name) is None
        client.set_experiment_tag(exp, "k", "v")
        assert client.get_experiment(exp).tags == {"k": "v"}
    """, name=experiment)  # fmt: skip


def test_a_model_that_penstock_logged_is_loaded_by_mlflow(peer: Peer, server: str, state_dir: Path) -> None:
    """Issue clause: what we write, others read, by every URI form and through our server."""
    name = f"ours-{'-'.join(map(str, peer.version))}"
    features, target = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    penstock.set_tracking_uri(server)
    try:
        with penstock.start_run() as run:
            penstock.log_model(model, "model", registered_model_name=name, input_example=features.head(2))
        penstock.set_registered_model_alias(name, "champion", 1)
    finally:
        chosen.reset()
        disconnect_all()
    got = peer.run(
        """
        import numpy
        from sklearn.datasets import load_iris
        X = load_iris(return_X_y=True, as_frame=True)[0]
        uris = [f"models:/{name}/1", f"models:/{name}@champion"]
        uris += [f"runs:/{run_id}/model"] if int(mlflow.__version__[0]) >= 3 else []
        result = [numpy.asarray(mlflow.pyfunc.load_model(uri).predict(X)).tolist() for uri in uris]
        """,
        name=name,
        run_id=run.info.run_id,
    )
    assert all(each == model.predict(features).tolist() for each in got)


# Parameters of MLflow's that Penstock does not have; docs/differences-from-mlflow.md says what they are for.
NOT_TAKEN = {
    "set_experiment": {"trace_location"},
    "create_experiment": {"trace_location"},
    "register_model": {"env_pack"},
    "search_logged_models": {"output_format"},
    "log_image": {"key", "step", "timestamp", "synchronous"},
    "MlflowClient.log_image": {"key", "step", "timestamp", "synchronous"},
    "MlflowClient.create_registered_model": {"deployment_job_id"},
    "MlflowClient.update_registered_model": {"deployment_job_id"},
}
OTHER_SHAPE = {"autolog", "log_model", "load_model", "save_model"}


def test_names_and_the_order_of_arguments_are_mlflows(peer: Peer) -> None:
    if peer.version < (3, 0):
        pytest.skip("the newest mlflow has all of these")
    theirs = peer.run("""
        import inspect
        places = [("", mlflow), ("MlflowClient.", MlflowClient)]
        result = {
            prefix + name: list(inspect.signature(getattr(place, name)).parameters)
            for prefix, place in places for name in dir(place)
            if not name.startswith("_") and inspect.isroutine(getattr(place, name))
        }
    """)
    places = {name: getattr(penstock, name) for name in penstock.DOORS if name not in OTHER_SHAPE}
    client = {f"MlflowClient.{name}": getattr(penstock.MlflowClient, name) for name in dir(penstock.MlflowClient)}
    ours = {name: value for name, value in {**places, **client}.items() if inspect.isroutine(value)}
    shared = sorted(ours.keys() & theirs.keys())
    assert len(shared) > 110
    for name in shared:
        wanted = [argument for argument in theirs[name] if argument not in NOT_TAKEN.get(name, ())]
        assert list(inspect.signature(ours[name]).parameters)[: len(wanted)] == wanted, name
