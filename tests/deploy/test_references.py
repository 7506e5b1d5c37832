"""What people call a model, and several of them in one file: resolved, deployed on the plane, and told apart after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import penstock
from deploy.stage import Stage
from penstock.cli.main import penstock as program
from penstock.deploy.repository import get_login
from penstock.ground.errors import EndpointFailed, NotFound
from penstock.oci.auth import Basic
from penstock.oci.client import RegistryClient
from penstock.rehearsal.process import plane_environment


@pytest.fixture
def registry(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two versions of a registered model, the second the champion; gives the run that logged it."""
    for key, value in plane_environment(stage.plane).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PENSTOCK_CACHE_DIR", str(tmp_path / "cache"))
    before = penstock.get_tracking_uri()
    penstock.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    data, target = load_iris(return_X_y=True, as_frame=True)
    fitted = LogisticRegression(max_iter=500).fit(data, target)
    for _ in range(2):
        with penstock.start_run() as run:
            penstock.log_model(fitted, name="model", registered_model_name="iris", input_example=data.head(2))
    penstock.MlflowClient().set_registered_model_alias("iris", "champion", 2)
    yield str(run.info.run_id)
    penstock.set_tracking_uri(before)


@pytest.fixture
def image(stage: Stage) -> str:
    login = get_login(stage.aws)
    if stage.aws.find("ecr", "describe_repositories", repositoryNames=["named"]) is None:
        stage.aws.call("ecr", "create_repository", repositoryName="named")
    with RegistryClient(auth=Basic(login.user, login.password)) as client:
        client.push(stage.image, f"{login.host}/named:tiny", format="docker")
    return f"{login.host}/named:tiny"


def test_every_name_of_a_model_is_resolved(registry: str, image: str) -> None:
    uris = {
        "models:/iris@champion": "2", "iris@champion": "2", "models:/iris/1": "1", "models:/iris/latest": "2",
        f"runs:/{registry}/model": "",
    }  # fmt: skip
    for uri, version in uris.items():
        tags = penstock.plan(uri, name="names", image=image).value.tags
        assert tags["penstock:model"] == uri
        assert tags.get("penstock:model-version", "") == version, uri
    with pytest.raises(NotFound, match="iris"):
        penstock.plan("models:/irs@champion", name="names", image=image)
    with pytest.raises(NotFound):
        penstock.plan(f"runs:/{registry}/modle", name="names", image=image)


def test_what_serves_is_told_by_alias_and_version_and_its_answers_are_compared(
    stage: Stage, registry: str, image: str
) -> None:
    right = penstock.plan("iris@champion", name="alias", image=image, env={"PREDICTIONS": "[0, 0]"}).apply()
    found = right.status()
    assert (found.model_uri, found.model_version) == ("iris@champion", "2")
    wrong = penstock.plan("models:/iris/1", name="alias", image=image, env={"PREDICTIONS": "[2, 2]"})
    with pytest.raises(EndpointFailed, match="otherwise than the model does here"):
        wrong.apply()
    assert right.predict([[5.1, 3.5, 1.4, 0.2]]) == [0, 0]
    folder = penstock.resolve_model("models:/iris/1")
    last = penstock.plan(str(folder), name="alias", image=image, env={"PREDICTIONS": "[0, 0]"})
    last.apply()
    assert penstock.endpoint("alias").status().model_version == "", "a folder has no version, nor has its endpoint"
    shown = _run("history", "alias")["items"]
    assert [(one["event"], one["model_version"]) for one in shown[1:]] == [("failed", ""), ("served", "2")]
    assert shown[-1]["by"].startswith("arn:aws")
    right.delete()


FILE = """
[deployments.pair]
image = "{image}"
instance_type = "ml.m5.large"
env = {{ PREDICTIONS = "[0, 0]" }}
[deployments.pair.variants.blue]
model = "models:/iris/1"
weight = 0.75
[deployments.pair.variants.green]
model = "{green}"
weight = 0.25
instance_type = "ml.c5.large"
"""


def test_one_file_has_several_variants_with_models_of_their_own(
    stage: Stage, registry: str, image: str, tmp_path: Path
) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(FILE.format(image=image, green="iris@champion"))
    common = ("--name", "pair", "--file", str(file))
    assert _run("deploy", *common, "--yes")["status"] == "InService"
    found = {one["name"]: one for one in _run("status", "pair")["variants"]}
    told = {
        name: (one["weight"], one["instance_type"], one["model_uri"], one["model_version"])
        for name, one in found.items()
    }
    assert told == {
        "blue": (0.75, "ml.m5.large", "models:/iris/1", "1"), "green": (0.25, "ml.c5.large", "iris@champion", "2")
    }  # fmt: skip
    assert _run("plan", *common)["changes"] is False
    assert _run("history", "pair")["items"][0]["models"] == {"green": "iris@champion"}
    assert _run("invoke", "pair", "--example", "--variant", "green")["variant"] == "green"
    file.write_text(FILE.format(image=image, green="").replace('model = ""', ""))
    refused = _run("plan", *common, code=2)
    assert "model" in refused["error"]["message"]
    file.write_text(FILE.format(image=image, green="x").replace("weight = 0.25", "wieght = 0.25"))
    assert "weight" in _run("plan", *common, code=2)["error"]["message"]
    assert _run("delete", "pair", "--yes")["nothing_left"]


def _run(*arguments: str, code: int = 0) -> dict[str, Any]:
    ran = CliRunner().invoke(program, [*arguments, "--json"])
    assert ran.exit_code == code, f"{arguments}: {ran.exit_code}\n{ran.stdout}\n{ran.stderr}"
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
