"""``mlflow deployments ... -t penstock`` in the real mlflow, with the tiny image on the plane."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.conftest import plane, plane_dir, stage, tiny  # noqa: F401 - fixtures
from deploy.mlflow_peer import MlflowPeer
from deploy.stage import Stage
from penstock.deploy.repository import get_login
from penstock.oci.auth import Basic
from penstock.oci.client import RegistryClient
from penstock.rehearsal.process import plane_environment

pytestmark = pytest.mark.full  # a minute of mlflow starting, once a command


@pytest.fixture
def image(stage: Stage) -> str:  # noqa: F811
    """The reference of an image that answers, in the plane's registry."""
    if stage.aws.find("ecr", "describe_repositories", repositoryNames=["mlflow-pyfunc"]) is None:
        stage.aws.call("ecr", "create_repository", repositoryName="mlflow-pyfunc")
    login = get_login(stage.aws)
    with RegistryClient(auth=Basic(login.user, login.password)) as client:
        digest = client.push(stage.image, f"{login.host}/mlflow-pyfunc:1")
    return f"{login.host}/mlflow-pyfunc@{digest}"


@pytest.fixture
def peer(stage: Stage, peer_python: Callable[[str], Path], tmp_path: Path) -> MlflowPeer:  # noqa: F811
    environment = {**plane_environment(stage.plane), "PENSTOCK_STATE_DIR": str(tmp_path / "s"), "HOME": str(tmp_path)}
    return MlflowPeer(peer_python("mlflow"), tmp_path, environment)


def test_create_get_list_predict_update_delete(peer: MlflowPeer, image: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\n    python_version: 3.11.7\n")
    common = ("-t", "penstock", "--name", "mlflow-door")
    made = peer.mlflow("deployments", "create", *common, "-m", str(model), "-C", f"image_url={image}",
                       "-C", "instance_type=ml.m5.large", "-C", 'tags={"team": "blue"}')  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "mlflow-door" in made.stdout
    got = peer.mlflow("deployments", "get", *common)
    assert "InService" in got.stdout, got.stderr
    assert "blue" in got.stdout
    assert "mlflow-door" in peer.mlflow("deployments", "list", "-t", "penstock").stdout
    asked = tmp_path / "rows.json"
    asked.write_text(json.dumps({"columns": ["a"], "data": [[1.0]]}))
    answered = peer.mlflow("deployments", "predict", *common, "-I", str(asked))
    # The tiny image answers with what it was sent, which is no prediction; mlflow says so and shows it.
    assert "dataframe_split" in answered.stderr
    assert "'predictions' field" in answered.stderr
    again = peer.mlflow("deployments", "create", *common, "-m", str(model), "-C", f"image_url={image}")
    assert again.returncode != 0
    assert "exists already" in again.stderr
    near = peer.mlflow("deployments", "update", *common, "-m", str(model), "-C", "instance-type=ml.m5.large")
    assert near.returncode != 0
    assert "instance_type" in near.stderr
    gone = peer.mlflow("deployments", "delete", *common)
    assert gone.returncode == 0, gone.stderr
    assert "mlflow-door" not in peer.mlflow("deployments", "list", "-t", "penstock").stdout
