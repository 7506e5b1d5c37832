"""The aws CLI as an independent client of the plane."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]


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
    assert password == (rehearsal.state_dir / "registry-password").read_text()
    (tmp_path / "file").write_text("content")
    aws("s3", "mb", "s3://cli-bucket")
    aws("s3", "cp", str(tmp_path / "file"), "s3://cli-bucket/a/file")
    assert aws("s3api", "list-objects-v2", "--bucket", "cli-bucket")["Contents"][0]["Key"] == "a/file"
