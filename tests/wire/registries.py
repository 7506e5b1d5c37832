"""Debian's docker-registry as a fixture-like context: a real registry on an ephemeral loopback port."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

DEADLINE_SECONDS = 20


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def docker_registry(
    program: Path, directory: Path, *, auth: dict[str, object] | None = None, relative: bool = False
) -> Iterator[str]:
    """``host:port`` of a docker-registry that keeps its blobs in ``directory`` while the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{_free_port()}"
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": host, "secret": "x", "relativeurls": relative},
        **({"auth": auth} if auth else {}),
    }
    path = directory / "config.yml"
    path.write_text(json.dumps(config))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", path], stdout=log, stderr=log)
    try:
        _wait(process, host, directory / "log")
        yield host
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://{host}/v2/", trust_env=False)
        except httpx.TransportError:
            continue
        return
    raise AssertionError(log.read_text())
