"""Models as a notebook logs, registers, names and finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock as mlflow
from penstock.api.tracking import log_model_folder
from penstock.ground.errors import InvalidInput, NotFound

pytestmark = pytest.mark.usefixtures("tracking")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "MLmodel").write_text("flavors: {}\n")
    (made / "weights").write_bytes(b"\x00\x01")
    return made


def test_a_folder_becomes_a_logged_model_of_the_run(folder: Path) -> None:
    with mlflow.start_run() as run:
        info = log_model_folder(folder, "net", params={"depth": 3})
    assert info.run_id == run.info.run_id
    assert info.model_uri == f"models:/{info.model_id}"
    assert info.registered_version is None
    client = mlflow.MlflowClient()
    model = client.get_logged_model(info.model_id)
    assert (model.name, model.status, model.params) == ("net", "READY", {"depth": "3"})
    assert [file.path for file in client.list_logged_model_artifacts(info.model_id)] == ["MLmodel", "weights"]
    outputs = mlflow.get_run(run.info.run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [info.model_id]


def test_every_uri_of_a_registered_model_finds_its_folder(folder: Path) -> None:
    with mlflow.start_run():
        info = log_model_folder(folder, "net", registered_model_name="flowers")
    assert info.registered_version == 1
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("flowers", "champion", 1)
    client.transition_model_version_stage("flowers", 1, "Production")
    for uri in (
        info.model_uri,
        f"runs:/{info.run_id}/net",
        "models:/flowers/1",
        "models:/flowers/latest",
        "models:/flowers/Production",
        "models:/flowers@champion",
        "flowers@champion",
        info.artifact_uri,
        str(folder),
    ):
        assert (mlflow.resolve_model(uri) / "weights").read_bytes() == b"\x00\x01", uri


def test_a_miss_names_what_is_near(folder: Path) -> None:
    with mlflow.start_run():
        info = log_model_folder(folder, "net", registered_model_name="flowers")
    mlflow.set_registered_model_alias("flowers", "champion", "1")
    for uri, hint in (
        ("flower@champion", "Near matches: flowers"),
        ("models:/flowes/1", "Near matches: flowers"),
        ("flowers@champoin", "Near matches: champion"),
        (f"runs:/{info.run_id}/nett", "Near matches: net"),
        ("models:/flowers/7", "7"),
        ("models:/flowers/Staging", "Staging"),
        ("models:/m-" + "0" * 32, "m-000"),
        ("runs:/" + "0" * 32 + "/x", "not found"),
        ("/no/such/folder", "no model folder"),
    ):
        with pytest.raises(NotFound, match=hint):
            mlflow.resolve_model(uri)


@pytest.mark.parametrize("uri", ["models:/flowers", "models:/flowers/one", "runs:/x"])
def test_a_uri_of_no_known_form_is_refused(uri: str, folder: Path) -> None:
    with mlflow.start_run():
        log_model_folder(folder, "net", registered_model_name="flowers")
    with pytest.raises(InvalidInput):
        mlflow.resolve_model(uri)


def test_a_second_registration_is_the_next_version(folder: Path) -> None:
    with mlflow.start_run():
        first = log_model_folder(folder, "net")
    versions = [mlflow.register_model(first.model_uri, "flowers", tags={"k": "v"}).version for _ in range(2)]
    assert versions == ["1", "2"]
    assert [version.tags for version in mlflow.search_model_versions(filter_string="name = 'flowers'")] == [
        {"k": "v"}
    ] * 2
    mlflow.set_model_version_tag("flowers", "2", "k", "w")
    assert mlflow.MlflowClient().get_model_version("flowers", 2).tags == {"k": "w"}
    assert [model.name for model in mlflow.search_registered_models()] == ["flowers"]
    with pytest.raises(NotFound):
        mlflow.register_model("runs:/" + "0" * 32 + "/net", "flowers")


def test_a_failed_upload_is_told_and_leaves_no_ready_model(tmp_path: Path) -> None:
    with mlflow.start_run() as run, pytest.raises(NotFound):
        log_model_folder(tmp_path / "absent", "net")
    (model,) = mlflow.MlflowClient().search_logged_models([run.info.experiment_id])
    assert model.status == "UPLOAD_FAILED"


def test_the_registry_remembers_who_moved_what(folder: Path) -> None:
    with mlflow.start_run():
        log_model_folder(folder, "net", registered_model_name="flowers")
        log_model_folder(folder, "net", registered_model_name="flowers")
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("flowers", "champion", 1)
    client.set_registered_model_alias("flowers", "champion", 2)
    client.transition_model_version_stage("flowers", 2, "staging")
    client.delete_registered_model_alias("flowers", "champion")
    moves = [(change.kind, change.before, change.after) for change in client.get_registered_model_history("flowers")]
    assert sorted(moves, key=str) == sorted(
        [("alias", None, "1"), ("alias", "1", "2"), ("stage", "None", "Staging"), ("alias", "2", None)], key=str
    )
    assert all(change.user_id for change in client.get_registered_model_history("flowers"))


def test_registered_models_are_described_renamed_and_deleted() -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model("a", tags={"k": "v"}, description="first")
    assert client.get_registered_model("a").description == "first"
    client.update_registered_model("a", "second")
    client.set_registered_model_tag("a", "k2", 2)
    client.delete_registered_model_tag("a", "k")
    renamed = client.rename_registered_model("a", "b")
    assert (renamed.name, renamed.description, renamed.tags) == ("b", "second", {"k2": "2"})
    client.delete_registered_model("b")
    with pytest.raises(NotFound):
        client.get_registered_model("b")


def test_logged_models_are_searched_with_order_and_tags(folder: Path) -> None:
    with mlflow.start_run() as run:
        made = [log_model_folder(folder, f"net-{number}") for number in range(3)]
        for number, info in enumerate(made):
            mlflow.log_metric("accuracy", number / 10, model_id=info.model_id)
    client = mlflow.MlflowClient()
    client.set_logged_model_tags(made[1].model_id, {"k": "v"})
    client.log_model_params(made[1].model_id, {"p": 1})
    ordered = client.search_logged_models(
        [run.info.experiment_id], order_by=[{"field_name": "metrics.accuracy", "ascending": False}]
    )
    assert [model.name for model in ordered] == ["net-2", "net-1", "net-0"]
    found = client.search_logged_models([run.info.experiment_id], "tags.k = 'v'")
    assert [(model.name, model.params) for model in found] == [("net-1", {"p": "1"})]
    client.delete_logged_model_tag(made[1].model_id, "k")
    client.delete_logged_model(made[0].model_id)
    assert len(client.search_logged_models([run.info.experiment_id])) == 2
