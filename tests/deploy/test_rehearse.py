"""The rehearsal on the plane that other tests run too: what it reports, and what it refuses to pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.linear_model import LogisticRegression

import penstock
from deploy.samples import REQUEST
from deploy.stage import Stage
from penstock.api.deployments_rehearse import rehearse
from penstock.api.deployments_trial import LargeBody, run_trial
from penstock.deploy.bucket import BucketKind
from penstock.deploy.discover import discover
from penstock.deploy.invoke import invoke_async
from penstock.deploy.kinds import Making
from penstock.deploy.limits import Measured, refusals
from penstock.deploy.options import DeployOptions
from penstock.deploy.repository import get_login
from penstock.deploy.request import AsyncInference
from penstock.ground.errors import RehearsalFailed
from penstock.ground.settings import Settings, load_settings
from penstock.models.example import InputExample
from penstock.oci.auth import Basic
from penstock.oci.client import RegistryClient


@pytest.fixture
def settings(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings under which the folder's plane is the one that rehearsals use."""
    (tmp_path / "state" / "planes").mkdir(parents=True)
    (tmp_path / "state" / "planes" / "local").symlink_to(stage.plane_dir)
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path / "state"))
    return load_settings({})


@pytest.fixture
def image(stage: Stage) -> str:
    login = get_login(stage.aws)
    if stage.aws.find("ecr", "describe_repositories", repositoryNames=["rehearsed"]) is None:
        stage.aws.call("ecr", "create_repository", repositoryName="rehearsed")
    with RegistryClient(auth=Basic(login.user, login.password)) as client:
        client.push(stage.image, f"{login.host}/rehearsed:tiny", format="docker")
    return f"{login.host}/rehearsed:tiny"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    data = np.array([[0.0], [1.0]])
    penstock.save_model(LogisticRegression().fit(data, [0, 1]), tmp_path / "model", input_example=data)
    return tmp_path / "model"


def test_what_does_not_start_or_takes_nonsense_does_not_pass(
    stage: Stage, settings: Settings, image: str, model: Path
) -> None:
    def rehearsed(**env: str) -> RehearsalFailed:
        options = DeployOptions(env=env, role="only-the-account-has-it")
        with pytest.raises(RehearsalFailed) as caught:
            rehearse(model, options=options, image=image, soak_s=0.1, settings=settings)
        return caught.value

    broken = rehearsed(FAIL="No module named 'lightgbm'")
    assert broken.exit_code == 4
    assert "lightgbm" in broken.message
    assert "It broke on not JSON." in rehearsed(PREDICTIONS="[0, 1]").message
    assert "otherwise than the model does here" in rehearsed(PREDICTIONS="[1, 1]").message
    assert not [one for one in stage.target.list() if one.name.startswith("rehearse-")]


def test_an_endpoint_is_tried_with_many_rows_and_its_memory_is_seen(stage: Stage) -> None:
    stage.deploy(stage.request("trial", env={"PREDICTIONS": "[0]"}))
    example = InputExample("ndarray", [[1.5, 2.5], [3.5, 4.5]])
    seen = run_trial(stage.target, "trial", example, soak_s=1.2)
    assert len(seen.latencies_ms) > 10
    assert isinstance(seen.large, LargeBody)
    assert seen.large.rows > 100_000 or seen.large.size_bytes > 5_000_000
    assert seen.large.size_bytes < 6_000_000
    assert seen.memory_percent is not None
    assert 0 < seen.memory_percent < 10, "a small server on an ml.m5.large"
    assert stage.target.metrics("trial").variants[0].memory_max_percent is not None


def test_memory_near_the_instance_types_is_told() -> None:
    fine = Measured(start_s=3, slowest_ms=20, payload_bytes=100, memory_percent=42)
    assert refusals(REQUEST, fine) == ()
    assert "95 % of the instance type's memory" in refusals(REQUEST, replace(fine, memory_percent=95.2))[0]


def test_an_endpoint_that_answers_into_a_bucket_is_asked_there(stage: Stage) -> None:
    BucketKind().make(Making(aws=stage.aws, deployment="later"), "answers", {})
    settings = AsyncInference(output_s3_uri="s3://answers/out", failure_s3_uri="s3://answers/bad")
    stage.deploy(stage.request("async", env={"PREDICTIONS": "[7]"}, async_inference=settings))
    assert invoke_async(stage.aws, "async", b"{}").body == b'{"predictions": [7]}'
    left = stage.aws.call("s3", "list_objects_v2", Bucket="answers").get("Contents", [])
    assert left == []
    assert discover("async", stage.aws).found
