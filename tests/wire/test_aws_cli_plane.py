"""The aws CLI as an independent client of the plane."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from penstock.cli.main import penstock
from penstock.images.store import ImageStore
from penstock.oci.layout import write_layout
from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True


@pytest.fixture(scope="module")
def aws(rehearsal: Rehearsal, peer_python: Callable[[str], Path]) -> Callable[..., Any]:
    """Runs an aws command in the plane's environment; its JSON."""
    program = peer_python("aws").with_name("aws")

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [str(program), *arguments, "--output", "json"], capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": "/usr/bin:/bin", "HOME": str(rehearsal.state_dir), **rehearsal.environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip().startswith(("{", "[")) else done.stdout

    return run


def test_it_lists_describes_invokes_waits_and_deletes(
    rehearsal: Rehearsal, aws: Callable[..., Any], tmp_path: Path
) -> None:
    rehearsal.deploy("cli")
    assert aws("sts", "get-caller-identity")["Account"] == rehearsal.info.account
    assert [item["EndpointName"] for item in aws("sagemaker", "list-endpoints")["Endpoints"]] == ["cli"]
    assert aws("sagemaker", "describe-endpoint", "--endpoint-name", "cli")["EndpointStatus"] == "InService"
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", "cli")
    answer = tmp_path / "answer.json"
    aws(
        "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "cli",
        "--body", '{"rows": 1}', "--content-type", "application/json", str(answer),
    )  # fmt: skip
    assert json.loads(answer.read_text())["body"] == '{"rows": 1}'
    aws("sagemaker", "delete-endpoint", "--endpoint-name", "cli")
    password = aws("ecr", "get-login-password").strip()
    registry = urllib.request.Request(f"{rehearsal.info.url}/v2/")
    registry.add_header("Authorization", f"Basic {base64.b64encode(f'AWS:{password}'.encode()).decode()}")
    with urllib.request.urlopen(registry) as answered:
        assert answered.status == 200
    (tmp_path / "file").write_text("content")
    aws("s3", "mb", "s3://cli-bucket")
    aws("s3", "cp", str(tmp_path / "file"), "s3://cli-bucket/a/file")
    assert aws("s3api", "list-objects-v2", "--bucket", "cli-bucket")["Contents"][0]["Key"] == "a/file"


@pytest.fixture
def penstock_here(rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command of ours in the plane's environment, with no ``docker login``; its JSON."""
    here = {"PENSTOCK_CACHE_DIR": str(tmp_path / "cache"), "PENSTOCK_STATE_DIR": str(tmp_path / "state")}
    for name, value in {**rehearsal.environment, **here, "DOCKER_CONFIG": str(tmp_path / "docker")}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(penstock, [*arguments, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def test_push_and_pull_use_the_credentials_of_aws_and_make_the_repository(
    rehearsal: Rehearsal, penstock_here: Callable[..., Any], tmp_path: Path
) -> None:
    write_layout(rehearsal.image, tmp_path / "layout")
    place = f"{rehearsal.info.url.removeprefix('http://')}/by-push:v1"
    digest = penstock_here("push", str(tmp_path / "layout"), place)["digest"]
    assert digest == rehearsal.image.digest()
    found = rehearsal.client("ecr").describe_images(repositoryName="by-push")["imageDetails"]
    assert [(one["imageDigest"], one["imageTags"]) for one in found] == [(digest, ["v1"])]
    assert penstock_here("pull", place)["digest"] == digest


def test_mlflows_build_and_push_container_makes_the_repository_and_pushes_what_is_built(
    rehearsal: Rehearsal, penstock_here: Callable[..., Any], tmp_path: Path
) -> None:
    command = ("sagemaker", "build-and-push-container", "-c", "mlflow-pyfunc")
    reference = penstock_here(*command, "--env-manager", "conda", "--install-java")["reference"]
    assert reference.endswith("/mlflow-pyfunc")
    assert penstock_here(*command, "--no-push") == {"image": None, "reference": None}
    ImageStore(tmp_path / "cache").keep(rehearsal.image, names=("mlflow-pyfunc",))
    pushed = penstock_here(*command, "--no-build")
    assert pushed == {"image": rehearsal.image.digest(), "reference": f"{reference}@{rehearsal.image.digest()}"}
