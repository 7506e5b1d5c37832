"""The real mlflow client, kept running in its own interpreter, and a server of ours for it to speak to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOOP = """
import contextlib, json, sys, traceback
answers = sys.stdout
sys.stdout = sys.stderr
import warnings; warnings.simplefilter("ignore")
import mlflow
for line in sys.stdin:
    names = {"mlflow": mlflow, "MlflowClient": mlflow.MlflowClient, "result": None}
    names.update(json.loads(line)["names"])
    try:
        exec(json.loads(line)["code"], names)
        answer = {"result": names["result"]}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    while mlflow.active_run():
        mlflow.end_run()
    print(json.dumps(answer, default=str), file=answers, flush=True)
"""


class Peer:
    """An interpreter with mlflow imported: ``run`` executes a piece of code there and gives its ``result`` back."""

    def __init__(self, process: subprocess.Popen[str], version: tuple[int, ...], log: Path) -> None:
        self._process = process
        self._log = log
        self.version = version

    def run(self, code: str, **names: Any) -> Any:
        """What the code left in ``result`` (JSON). Raises AssertionError with the traceback when it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": textwrap.dedent(code), "names": names}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._log.read_text()
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]


@contextmanager
def running_peer(python: Path, folder: Path, **environment: str) -> Iterator[Peer]:
    """The client of ``python``'s mlflow, working in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_ENABLE_ASYNC_LOGGING": "false"}
    with (folder / "peer.log").open("w") as log:
        process = subprocess.Popen(
            [str(python), "-c", LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=folder,
            env={**os.environ, **variables, **environment},
        )
        try:
            peer = Peer(process, (), folder / "peer.log")
            version = peer.run("result = [int(part) for part in mlflow.__version__.split('.')[:2]]")
            peer.version = tuple(version)
            yield peer
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def our_server(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """The URL of a Penstock server whose store and artifacts are below ``folder``."""
    with server_process(folder, *options, port=port) as (url, _):
        yield url


@contextmanager
def server_process(folder: Path, *options: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The same with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(Path(sys.executable).with_name("penstock")), "server", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder / 'penstock.db'}", "--artifacts-destination", str(folder / "kept"),
        *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+?:\d+", line)
        assert found, line + process.stderr.read()
        yield found.group(), process
    finally:
        process.terminate()
        process.wait(40)
        process.stderr.close()
