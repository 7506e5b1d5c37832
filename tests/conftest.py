"""Fixtures every test may use: fresh directories, and the real components (mlflow, aws, skopeo, ...) tests run against.

A component that is missing skips its tests on a laptop, with the reason; where CI=true it fails them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venvs"


def missing(what: str, fix: str) -> None:
    """Skips the test for want of ``what``, or fails it where CI=true."""
    message = f"{what} is not here: {fix}"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Gives the path of an installed program, e.g. ``tool("skopeo")``."""

    def find(name: str) -> Path:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/lib/postgresql/15/bin")
        if found is None:
            missing(name, f"install it (scripts/test-tools does where it may), e.g. apt-get install {name}")
            raise AssertionError
        return Path(found)

    return find


@pytest.fixture(scope="session")
def peer_python() -> Callable[[str], Path]:
    """Gives the interpreter of a peer's own virtual environment: "mlflow" (3.x), "mlflow2" (2.x) or "aws"."""

    def find(name: str) -> Path:
        python = PEERS / name / "bin" / "python"
        if not python.exists():
            missing(f"the virtual environment {name!r}", "run scripts/test-tools")
        return python

    return find


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh state directory, set for this process and its children; the cache directory stays shared."""
    directory = tmp_path / "state"
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(directory))
    return directory
