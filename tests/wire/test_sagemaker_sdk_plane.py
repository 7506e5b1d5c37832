"""The SageMaker Python SDK, 2.x and 3.x, each in its own environment, as a client of the plane."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehearsal.planes import Rehearsal, archive, plane_cache, rehearsal, tiny

pytestmark = pytest.mark.full  # the SDK polls every 30 seconds, and its import alone takes several

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True
HERE = Path(__file__).parent


def told(python: Path, script: str, story: dict[str, str], rehearsal: Rehearsal, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), "-W", "ignore", str(HERE / script), json.dumps(story)], capture_output=True, text=True,
        check=False, timeout=280, cwd=folder,
        env={**rehearsal.environment, "PATH": "/usr/bin:/bin", "HOME": str(folder), "TZ": "UTC", "COLUMNS": "300"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_sdk_s_model_and_predictor_deploy_update_and_delete(
    rehearsal: Rehearsal, peer_python: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "model.tar.gz").write_bytes(archive({"MLmodel": b"x"}))
    story = {
        "image": rehearsal.push("sdk"), "role": rehearsal.role(), "bucket": "sdk-models",
        "archive": str(tmp_path / "model.tar.gz"),
    }  # fmt: skip
    answer = told(peer_python("sagemaker2"), "sagemaker_sdk_story.py", story, rehearsal, tmp_path)
    assert answer["bucket"] == "sdk-models"
    assert (answer["predicted"]["body"], answer["predicted"]["greeting"]) == ('{"a": 1}', "hello")
    assert answer["predicted"]["model"] == ["MLmodel"]
    assert (answer["instances"], answer["left"]) == (2, [])
    assert {"Key": "team", "Value": "a"} in answer["tags"]


def test_the_resource_classes_of_the_third_version(
    rehearsal: Rehearsal, peer_python: Callable[[str], Path], tmp_path: Path
) -> None:
    story = {"image": rehearsal.push("core"), "role": rehearsal.role()}
    answer = told(peer_python("sagemaker3"), "sagemaker_core_story.py", story, rehearsal, tmp_path)
    assert (answer["predicted"]["body"], answer["predicted"]["greeting"]) == ('{"a": 1}', "hello")
    assert (answer["variant"], answer["listed"], answer["left"]) == ("AllTraffic", ["core"], [])
