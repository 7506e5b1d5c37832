"""The 2019 script against the plane, with a real model in a real image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestRegressor

from deploy.conftest import plane, plane_dir, stage, tiny  # noqa: F401 - fixtures
from deploy.stage import Stage
from penstock.deploy.discover import discover
from penstock.deploy.roles import trust_policy
from penstock.ground.errors import Unavailable
from penstock.images.build import build_image
from penstock.models.folder import read_model_folder
from penstock.models.pack import save_model
from penstock.models.signature import infer_signature
from penstock.rehearsal.process import plane_environment

SCRIPT = Path(__file__).with_name("deploy_2019.py")


@pytest.fixture
def article(tmp_path: Path) -> Path:
    """A working directory with the article's model where 2019's file store put it."""
    data, target = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestRegressor(n_estimators=5, random_state=0).fit(data, target)
    folder = tmp_path / "mlruns" / "0" / "run1" / "artifacts" / "random-forest-model"
    folder.parent.mkdir(parents=True)
    save_model(model, folder, signature=infer_signature(data, model.predict(data)))
    try:  # The image's packages come from a package index; without one there is no image to deploy.
        build_image(read_model_folder(folder), cache_dir=_cache_dir())
    except Unavailable as error:
        pytest.skip(f"no package index in reach: {error}")
    return tmp_path


def test_it_runs_as_it_was_written(stage: Stage, article: Path) -> None:  # noqa: F811
    role = stage.aws.call(
        "iam", "create_role", RoleName="article", AssumeRolePolicyDocument=json.dumps(trust_policy())
    )["Role"]["Arn"]
    environment = {
        **os.environ,
        **plane_environment(stage.plane),
        "PENSTOCK_STATE_DIR": str(article / "state"),
        "PENSTOCK_CACHE_DIR": str(_cache_dir()),
    }
    arguments = (stage.plane.region, stage.aws.account, role, "0", "run1")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), *arguments],
        cwd=article,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["Application status is: InService", "Received response: [2.0]"]
    left = discover("model-application", stage.aws, repositories=["mlflow-pyfunc"])
    assert left.found == ()


def _cache_dir() -> Path:
    home = os.environ.get("PENSTOCK_CACHE_DIR")
    return Path(home) if home else Path.home() / ".cache" / "penstock"
