"""A real server on a real port, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from penstock.serving.http.loop import run_loop
from penstock.serving.http.server import HttpServer
from serving.http.raw import DEADLINE_S, Echo, Running, Wire


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Gives ``serve(**timeouts) -> Running``; every server is drained when the test ends."""
    started: list[tuple[Running, threading.Thread, asyncio.Event]] = []

    def start(**options: float) -> Running:
        up = threading.Event()
        found: list[tuple[Running, asyncio.Event]] = []

        async def main() -> None:
            echo = Echo()
            server = HttpServer(echo, **options)  # type: ignore[arg-type]
            _, port = await server.start("127.0.0.1", 0)
            stop = asyncio.Event()
            found.append((Running(server, echo, port, asyncio.get_running_loop()), stop))
            up.set()
            await stop.wait()
            echo.gate.set()
            await server.drain(2.0)

        thread = threading.Thread(target=lambda: run_loop(main()))
        thread.start()
        assert up.wait(DEADLINE_S)
        running, stop = found[0]
        started.append((running, thread, stop))
        return running

    yield start
    for running, thread, stop in started:
        for wire in running.wires:
            wire.sock.close()
        running.echo.gate.set()
        running.loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


@pytest.fixture
def wire(serve: Callable[..., Running]) -> Wire:
    return serve().connect()
