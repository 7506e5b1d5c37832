"""A running tracking server, and a small client that speaks plain HTTP to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from penstock.ground.clock import SYSTEM_CLOCK
from penstock.server.app import TrackingApp
from penstock.server.context import ServerOptions
from penstock.server.errors import render_error
from penstock.serving.http.server import HttpServer
from penstock.store.open import open_store


class Answer(Struct):
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error_code"]
        return code


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int, *, prefix: str = "/api/2.0/mlflow/") -> None:
        self.port = port
        self.prefix = prefix
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        full = path if path.startswith("/") else f"{self.prefix}{path}"
        self._connection.request(method, full, body=body, headers=headers or {})
        response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, content, {key.lower(): value for key, value in response.getheaders()})

    def post(self, path: str, /, method: str = "POST", **fields: Any) -> Answer:
        return self.send(method, path, json.dumps(fields), {"Content-Type": "application/json"})

    def get(self, path: str, /, **query: Any) -> Answer:
        return self.send("GET", f"{path}?{urlencode(query, doseq=True)}" if query else path)

    def make_run(self, **fields: Any) -> str:
        run_id: str = self.post("runs/create", **{"experiment_id": "0", **fields}).json["run"]["info"]["run_id"]
        return run_id

    def close(self) -> None:
        self._connection.close()


@contextmanager
def running(options: ServerOptions) -> Iterator[int]:
    """The port of a server that runs on a loop of its own thread until the block ends."""
    started: list[int] = []
    ready = threading.Event()
    stopping: list[Callable[[], None]] = []

    async def main() -> None:
        with open_store(options.store_uri, artifact_root=options.artifact_root, clock=SYSTEM_CLOCK) as store:
            app = TrackingApp(store, options)
            server = HttpServer(app, render_error=render_error)
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            stopping.append(lambda: loop.call_soon_threadsafe(stop.set))
            started.append((await server.start("127.0.0.1", 0))[1])
            ready.set()
            await stop.wait()
            await server.drain(5)
            app.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert ready.wait(30)
        yield started[0]
    finally:
        for stop_now in stopping:
            stop_now()
        thread.join(30)


def options_in(folder: Path, **more: Any) -> ServerOptions:
    """Options for a server that keeps everything in ``folder``."""
    given = {"store_uri": f"sqlite:///{folder / 'server.db'}", "artifacts_destination": str(folder / "artifacts")}
    return ServerOptions(**{**given, **more})
