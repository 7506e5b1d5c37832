"""A stock ``mlflow server`` of a peer's virtual environment, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS = 180


@contextmanager
def stock_server(python: Path, folder: Path) -> Iterator[str]:
    """The URL of a running server with one worker, its database and artifacts below ``folder``."""
    with free_port() as port:
        pass
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


@contextmanager
def free_port() -> Iterator[int]:
    """A port of this machine that nobody can take while the block runs, and where nobody answers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])


@contextmanager
def forwarding(port: int, url: str, *, cut_after: int | None = None) -> Iterator[list[int]]:
    """Passes every connection to ``port`` on to the server at ``url``, and counts what clients send.

    The first connection on which a client sends ``cut_after`` bytes is cut there.
    """
    there = ("127.0.0.1", urlsplit(url).port or 0)
    passed: list[int] = []
    cuts = [] if cut_after is None else [cut_after]

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(there) as onward:
                back = threading.Thread(target=_pump, args=(onward, self.request, [], []))
                back.start()
                _pump(self.request, onward, passed, cuts)
                back.join()

    class Gate(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Gate(("127.0.0.1", port), Handler) as gate:
        threading.Thread(target=gate.serve_forever, daemon=True).start()
        yield passed
        gate.shutdown()


def _pump(source: socket.socket, target: socket.socket, passed: list[int], cuts: list[int]) -> None:
    here = 0
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            passed.append(len(chunk))
            here += len(chunk)
            if cuts and here > cuts[0]:
                cuts.clear()
                source.shutdown(socket.SHUT_RDWR)
                break
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())
