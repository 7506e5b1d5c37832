"""The serving program as a process, and a client of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

DEADLINE_S = 60.0
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROW = [6.0, 3.0, 5.0, 2.0]


class Answered:
    """A status, headers (lower-case names) and a body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:500]!r}"


class Served:
    """One running ``python -m penstock.serving serve``; a context that ends it."""

    def __init__(
        self, folder: Path | None, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self.port = free_port()
        command = [sys.executable, "-m", "penstock.serving", "serve", *([str(folder)] if folder else [])]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port), *arguments],
                stdout=file,
                stderr=file,
                env={**os.environ, **(environment or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal and gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def wait_ready(self) -> Self:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.call("GET", "/ping").status == 200:
                    return self
            except OSError:
                continue
        raise AssertionError(f"not ready: {self.log.read_text()}")

    def call(self, method: str, path: str, body: bytes | str = b"", **headers: str) -> Answered:
        """One request on a connection of its own; ``content_type`` is spelled as a keyword."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            client.request(method, path, body.encode() if isinstance(body, str) else body, fields)
            response = client.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, found, response.read())
        finally:
            client.close()

    def invoke(self, body: Any, content_type: str = "application/json", **headers: str) -> Answered:
        """POST /invocations; whatever is not bytes or text goes as JSON."""
        if not isinstance(body, bytes | str):
            body = json.dumps(body)
        return self.call("POST", "/invocations", body, content_type=content_type, **headers)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
