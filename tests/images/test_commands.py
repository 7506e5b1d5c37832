"""The commands, one after another, as a person would use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from images.places import SmallWorld
from penstock import MlflowClient
from penstock.cli.main import penstock
from penstock.oci.layout import read_layout


@pytest.fixture
def run(small_world: SmallWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("PENSTOCK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PENSTOCK_APT_SOURCES", small_world.apt_sources)

    def call(*arguments: object, code: int = 0, env: dict[str, str] | None = None) -> Result:
        given = [str(each) for each in arguments]
        result = CliRunner().invoke(penstock, given, env=env, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


def test_build_look_compare_save_and_prune(run: Callable[..., Result], small_world: SmallWorld, tmp_path: Path):
    model = small_world.model(tmp_path / "model").path
    layout, context = tmp_path / "layout", tmp_path / "context"
    first = json.loads(run("build", model, "-t", "iris:v1", "--save", f"layout:{layout}", "--json").stdout)
    assert first["names"] == ["iris:v1"]
    assert first["layers"][0]["note"].startswith("base: ")
    assert [layer.digest for layer in read_layout(layout).layers] == [layer["digest"] for layer in first["layers"]]

    beside = json.loads((tmp_path / "layout.cdx.json").read_bytes())
    assert beside == json.loads(run("images", "show", "iris:v1", "--sbom").stdout)
    assert beside["bomFormat"] == "CycloneDX"
    assert (model / "requirements-linux-amd64.lock").is_file()

    (model / "model.pkl").write_bytes(b"another")
    run("build", model, "-t", "iris:v2", "--dockerfile", context)
    assert (context / "Dockerfile").read_text().startswith("#")
    printed = run("build", model, "-t", "iris:v2", "--dockerfile", "-").stdout
    assert printed == (context / "Dockerfile").read_text()
    assert [row["names"] for row in json.loads(run("images", "ls", "--json").stdout)] == [["iris:v2"], ["iris:v1"]]
    assert "opt/ml/model/model.pkl" in run("images", "diff", "iris:v1", "iris:v2").stdout
    assert "hold the same" in run("images", "diff", "iris:v1", layout).stdout
    assert "program: penstock" in run("images", "show", "iris:v1").stdout
    assert "would change nothing" in run("images", "outdated", "iris:v1").stdout

    pruned = json.loads(run("images", "prune", "iris:v1", "--json").stdout)
    assert pruned["images"] == [first["digest"]]
    assert pruned["freed_bytes"] > 0
    assert json.loads(run("images", "prune", "--all", "--json").stdout)["freed_bytes"] > 0
    assert json.loads(run("images", "ls", "--json").stdout) == []


def test_a_registered_version_is_on_the_label(run: Callable[..., Result], small_world: SmallWorld, tmp_path: Path):
    model = small_world.model(tmp_path / "model").path
    tracking = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'runs.db'}")
    tracking.create_registered_model("iris")
    tracking.create_model_version("iris", source=str(model))
    with_name = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'runs.db'}"}
    built = json.loads(run("build", "models:/iris/1", "--json", env=with_name).stdout)
    assert built["labels"]["penstock.model.version"] == "iris/1"
    assert built["labels"]["penstock.model.run_id"] == "a" * 32
    assert "penstock.model.version" not in json.loads(run("build", model, "--json").stdout)["labels"]


def test_what_cannot_be_done_says_the_fix(run: Callable[..., Result], small_world: SmallWorld, tmp_path: Path):
    model = small_world.model(tmp_path / "model").path
    wrong = json.loads(run("build", model, "--python", "3.13", "--json", code=2).stdout)["error"]
    assert "pickled models do not move" in wrong["fix"]
    place = json.loads(run("build", model, "--save", "zip:x", "--json", code=2).stdout)["error"]
    assert place["fix"] == "Use --save layout:DIRECTORY or --save tar:FILE."
    unknown = json.loads(run("push", "nothing", "127.0.0.1:1/a", "--json", code=6).stdout)["error"]
    assert "penstock images ls" in unknown["fix"]
