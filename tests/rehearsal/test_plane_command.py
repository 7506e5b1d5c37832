"""``penstock plane`` from a shell's point of view."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.rehearsal.process import find_plane

PENSTOCK = [sys.executable, "-c", "from penstock.cli.main import main; main()", "plane"]


def run(state_dir: Path, *arguments: str, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [*PENSTOCK, *arguments], capture_output=True, text=True, timeout=60, check=False,
        env={**environment, "HOME": str(state_dir), "PENSTOCK_STATE_DIR": str(state_dir)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout


def told(state_dir: Path, *arguments: str, code: int = 0) -> Any:
    return json.loads(run(state_dir, *arguments, "--json", code=code))


@pytest.fixture
def home(state_dir: Path) -> Path:
    state_dir.mkdir()
    return state_dir


def test_up_status_env_logs_down_reset(home: Path) -> None:
    try:
        view = told(home, "up", "--name", "a", "--time-scale", "0.5")
        assert (view["running"], view["time_scale"], view["warning"]) == (True, 0.5, None)
        assert told(home, "up", "--name", "b")["url"] != view["url"]
        assert [each["name"] for each in told(home, "status") if each["running"]] == ["a", "b"]
        exports = run(home, "env", "--name", "a").splitlines()
        assert f"export AWS_ENDPOINT_URL={view['url']}" in exports
        assert "export AWS_EC2_METADATA_DISABLED=true" in exports
        assert any("ready at" in line for line in told(home, "logs", "--name", "a"))
        assert told(home, "down", "--name", "a") == {"name": "a", "stopped": True}
        assert told(home, "down", "--name", "a") == {"name": "a", "stopped": False}
        assert told(home, "env", "--name", "a", code=6)["error"]["fix"] == "Start it: penstock plane up."
        assert told(home, "reset", "--name", "a") == {"name": "a", "reset": True}
        assert [each["name"] for each in told(home, "status")] == ["b"]
    finally:
        run(home, "reset", "--name", "b")


def test_real_credentials_in_reach_are_told(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[default]\naws_access_key_id = real\n")
    try:
        assert str(home / ".aws" / "credentials") in told(home, "up")["warning"]
    finally:
        run(home, "reset")


def test_a_bad_name_is_refused(home: Path) -> None:
    assert "cannot name a plane" in told(home, "up", "--name", "../up", code=2)["error"]["message"]


def test_in_the_foreground_it_ends_with_its_shell_s_interrupt(home: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [*PENSTOCK, "up", "--foreground", "--check-signatures"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True,
        env={**environment, "HOME": str(home), "PENSTOCK_STATE_DIR": str(home)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any("ready at" in line for line in iter(process.stderr.readline, ""))
        info = find_plane(home / "planes" / "local")
        assert info is not None
        assert (info.pid, info.check_signatures) == (process.pid, True)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.returncode == 0
    assert find_plane(home / "planes" / "local") is None
    assert told(home, "reset")["reset"]
