"""Fixtures every test may use: fresh directories, and the real components (mlflow, aws, skopeo, ...) tests run against.

A component that is missing skips its tests on a laptop, with the reason; where CI=true it fails them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import missing

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venvs"


# A shell without job control starts what it puts in the background deaf to Ctrl-C, and so would be what tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What waits long for real servers goes first, so that no worker is left alone with it at the end.
LONG_WAITS = ("tests/journey/", "tests/wire/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the folders that wait long first and leaves the order as it is otherwise."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_WAITS))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Gives the path of an installed program, e.g. ``tool("skopeo")``."""

    def find(name: str) -> Path:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/lib/postgresql/15/bin")
        if found is None:
            missing(name, f"install it (scripts/test-tools does where it may), e.g. apt-get install {name}")
        return Path(found)

    return find


@pytest.fixture(scope="session")
def peer_python() -> Callable[[str], Path]:
    """Gives the interpreter of a peer's own virtual environment: "mlflow" (3.x), "mlflow2" (2.x), "aws", ...."""

    def find(name: str) -> Path:
        python = PEERS / name / "bin" / "python"
        if not python.exists():
            missing(f"the virtual environment {name!r}", "run scripts/test-tools")
        return python

    return find


@pytest.fixture(scope="session")
def postgres_cluster(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Gives the URI prefix of a real, temporary PostgreSQL on loopback, e.g. ``postgresql://postgres@127.0.0.1:4711``."""
    initdb, server = tool("initdb"), tool("postgres")
    folder = tmp_path_factory.mktemp("postgres")
    as_user: dict[str, str] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = {"user": "postgres", "group": "postgres"}
        folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D", str(data)]
    subprocess.run([str(initdb), *options], check=True, capture_output=True, cwd=folder, **as_user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(folder),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
    ]
    process = subprocess.Popen(
        [str(server), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **as_user
    )
    try:
        _wait_until_ready(tool("pg_isready"), port, process)
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nothing in it is kept
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(probe: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if subprocess.run([str(probe), "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError("the temporary PostgreSQL did not start")


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh state directory, set for this process and its children; the cache directory stays shared."""
    directory = tmp_path / "state"
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(directory))
    return directory
