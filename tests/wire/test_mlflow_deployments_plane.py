"""Real mlflow's own ``deployments -t sagemaker`` against the plane, in mlflow's own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny

pytestmark = pytest.mark.full  # mlflow polls every five seconds and starts anew for each command

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True
SCRIPT = Path(__file__).with_name("mlflow_deployments_story.py")


def test_mlflow_creates_updates_lists_predicts_and_deletes(
    rehearsal: Rehearsal, peer_python: Callable[[str], Path], tmp_path: Path
) -> None:
    story = {"image": rehearsal.push("mlflow-pyfunc"), "role": rehearsal.role(), "folder": str(tmp_path / "model")}
    rehearsal.client("s3").create_bucket(Bucket="mlflow-models")
    done = subprocess.run(
        [str(peer_python("mlflow")), str(SCRIPT), json.dumps(story)], capture_output=True, text=True, check=False,
        timeout=160, cwd=tmp_path,
        env={
            **rehearsal.environment, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
            "MLFLOW_ENABLE_TELEMETRY": "false", "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["created"] == "m1"
    assert told["listed"] == ["m1"]
    assert told["status"] == "InService"
    assert told["predicted"] == [2.0]
    assert told["updated"] == "InService"
    assert told["left"] == []
    assert rehearsal.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert not list((rehearsal.state_dir / "containers").iterdir())
