"""The program and the notebook on the plane with a real model in a real image: plan, deploy, ask, update, delete."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import penstock
from deploy.conftest import plane, plane_dir, stage, tiny  # noqa: F401 - fixtures
from deploy.stage import Stage
from penstock.cli.main import penstock as program
from penstock.ground.errors import Unavailable
from penstock.images.build import build_image
from penstock.models.folder import read_model_folder
from penstock.models.pack import save_model
from penstock.rehearsal.process import plane_environment


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model folder; skipped where no package index is in reach, for then there is no image either."""
    data, target = load_iris(return_X_y=True, as_frame=True)
    folder = tmp_path_factory.mktemp("models") / "iris"
    save_model(LogisticRegression(max_iter=500).fit(data, target), folder, input_example=data.head(2))
    try:
        build_image(read_model_folder(folder), cache_dir=_cache_dir())
    except Unavailable as error:
        pytest.skip(f"no package index in reach: {error}")
    return folder


@pytest.fixture(autouse=True)
def environment(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Nothing but variables says where AWS is, as for anybody's program."""
    places = {"PENSTOCK_STATE_DIR": str(tmp_path / "state"), "PENSTOCK_CACHE_DIR": str(_cache_dir())}
    for key, value in {**plane_environment(stage.plane), **places}.items():
        monkeypatch.setenv(key, value)


def test_plan_deploy_ask_update_and_delete(model: Path, tmp_path: Path) -> None:
    common = (str(model), "--name", "cli")
    assert _run("plan", *common, "--detailed-exitcode", code=3)["changes"] is True
    refused = _run("deploy", *common, code=2)
    assert "--yes" in refused["error"]["fix"]
    made = _run("deploy", *common, "--yes", "--env", "A=1")
    assert (made["schema"], made["status"], made["changed"]) == ("penstock.deployment/1", "InService", True)
    assert _run("plan", *common, "--detailed-exitcode")["changes"] is False
    assert json.loads(_run("invoke", "cli", "--example")["body"]) == {"predictions": [0, 0]}
    (tmp_path / "rows.csv").write_text("5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n")
    asked = _run("invoke", "cli", "--data", f"@{tmp_path / 'rows.csv'}")
    assert json.loads(asked["body"]) == {"predictions": [0, 2]}
    assert _run("status", "cli")["status"] == "InService"
    assert _run("metrics", "cli")["variants"][0]["invocations"] >= 3
    assert any("serving at" in line["text"] for line in _run("logs", "cli")["items"])
    assert _run("history", "cli")["items"][0]["event"] == "served"
    assert "create_endpoint" in _run("eject", *common, "--as", "boto3")["text"]
    report = _run("delete", "cli", "--yes")
    assert report["nothing_left"] is True
    assert _run("status", "cli", code=6)["error"]["code"] == "PENSTOCK-E0200"


@pytest.mark.full
def test_a_rehearsal_reports_and_a_batch_goes_through_files(model: Path, tmp_path: Path, stage: Stage) -> None:  # noqa: F811
    common = (str(model), "--name", "never")
    (tmp_path / "state" / "planes").mkdir(parents=True)
    (tmp_path / "state" / "planes" / "local").symlink_to(stage.plane_dir)
    assert any("never rehearsed" in warning for warning in _run("plan", *common)["warnings"])
    rehearsed = _run("rehearse", str(model), "--soak", "1.5")
    assert rehearsed["calls"] > 10
    assert rehearsed["p50_ms"] <= rehearsed["p99_ms"]
    assert 0 < rehearsed["memory_bytes"] < rehearsed["memory_limit_bytes"] == 8 * 2**30
    assert rehearsed["large"]["answer"] == ""
    assert all(one["refused"] for one in rehearsed["malformed"])
    assert _run("plan", *common)["warnings"] == []
    (tmp_path / "rows.csv").write_text("5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n")
    columns = load_iris(as_frame=True).feature_names
    (tmp_path / "named.csv").write_text(",".join(columns) + "\n" + (tmp_path / "rows.csv").read_text())
    place = ("--input", str(tmp_path / "named.csv"), "--results", str(tmp_path / "out.csv"))
    worked = _run("batch", str(model), *place)
    assert worked["job"]["status"] == "Completed"
    assert [int(line) for line in (tmp_path / "out.csv").read_text().split()] == [0, 2]
    assert worked["removed"]


def test_a_notebook_plans_applies_predicts_and_cleans_up(model: Path) -> None:
    card = penstock.plan(model, name="notebook", instance_type="ml.m5.large")
    assert "+ endpoint" in repr(card)
    assert "a month" in card._repr_html_()
    data, _ = load_iris(return_X_y=True, as_frame=True)
    with card.apply() as endpoint:
        assert endpoint.predict(data.iloc[[0, 149]]) == [0, 2]
        assert endpoint.predict(np.asarray(data.iloc[[149]])) == [2]
        assert "InService" in endpoint._repr_html_()
        assert penstock.endpoint("notebook").status().ours
    with pytest.raises(penstock.PenstockError):
        penstock.endpoint("notebook")


def _run(*arguments: str, code: int = 0) -> dict[str, Any]:
    """The JSON document of ``penstock ARGUMENTS --json``, which must end with ``code``."""
    ran = CliRunner().invoke(program, [*arguments, "--output", "json"])
    assert ran.exit_code == code, f"{arguments}: {ran.exit_code}\n{ran.stdout}\n{ran.stderr}"
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _cache_dir() -> Path:
    given = os.environ.get("PENSTOCK_CACHE_DIR")
    return Path(given) if given else Path.home() / ".cache" / "penstock"
