"""``penstock runs``, ``import``, ``export``, ``sync`` and ``gc`` as a person or a script calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import penstock as client
from penstock.api.chosen import chosen
from penstock.api.connection import disconnect_all
from penstock.cli.main import penstock


@pytest.fixture(autouse=True)
def _fresh(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    chosen.reset()
    yield
    disconnect_all()
    chosen.reset()


def _call(*arguments: str, code: int = 0) -> Any:
    """The JSON document that the command prints."""
    ended = CliRunner().invoke(penstock, [*arguments, "--output", "json", "-q"])
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout)


def _run(name: str) -> str:
    with client.start_run(run_name=name) as run:
        client.log_param("p", 1)
        client.log_metrics({"m": 0.5, "nan": float("nan")})
        client.log_text("hello", "a.txt")
    return run.info.run_id


def test_runs_are_listed_filtered_and_shown() -> None:
    client.set_experiment("flowers")
    first, second = _run("one"), _run("two")
    listed = _call("runs", "--experiment", "flowers", "--filter", "metrics.m > 0", "--order-by", "attributes.run_name")
    assert [(run["run_id"], run["experiment"]) for run in listed] == [(first, "flowers"), (second, "flowers")]
    assert listed[0]["metrics"] == {"m": 0.5, "nan": "NaN"}
    client.delete_run(first)
    assert [run["run_id"] for run in _call("runs", "--deleted")] == [first]
    assert "two" in CliRunner().invoke(penstock, ["runs"]).stdout
    assert _call("runs", "--experiment", "flower", code=6)["error"]["message"].endswith("Near matches: flowers.")


def test_out_in_and_away(tmp_path: Path) -> None:
    kept, gone = _run("kept"), _run("gone")
    out = tmp_path / "out"
    report = _call("export", str(out))
    assert {line["what"]: line["here"] for line in report["lines"]}["runs"] == 2
    into = f"sqlite:///{tmp_path / 'second.db'}"
    arguments = ("import", str(out), "--into", into, "--artifact-root", str(tmp_path / "second"))
    moved = _call(*arguments)
    assert all(line["there"] == line["here"] for line in moved["lines"])
    text = CliRunner().invoke(penstock, [*arguments, "-q"])
    assert "2 runs were here already." in text.stdout
    client.MlflowClient(into).delete_run(gone)
    look = _call("gc", "--tracking-uri", into)
    assert (look["is_done"], [thing["identity"] for thing in look["things"]]) == (False, [gone])
    done = _call("gc", "--tracking-uri", into, "--apply")
    assert (done["is_done"], done["rows"], done["size_bytes"]) == (True, look["rows"], 5)
    assert [run.info.run_id for run in client.MlflowClient(into).search_runs(["0"])] == [kept]


def test_nothing_waits() -> None:
    assert _call("sync") == {"sent": 0, "refused": [], "waiting": 0}


def test_a_source_that_is_not_there_is_told() -> None:
    assert _call("import", "/no/such/folder", code=6)["error"]["code"] == "PENSTOCK-E0200"
