"""Something that answers on the port while the model loads: alive, not ready."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.serving.http.loop import run_loop
from penstock.serving.http.server import HttpServer
from penstock.serving.http.types import Application


@contextmanager
def answering(application: Application, listening: socket.socket) -> Iterator[None]:
    """Serves ``application`` from a thread while the block runs; the socket stays open for whoever serves next.

    The thread is gone when the block ends, so that the process may fork.
    """
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()

    async def serve() -> None:
        server, stop = HttpServer(application), asyncio.Event()
        await server.start(sock=listening.dup())
        loops.append((asyncio.get_running_loop(), stop))
        up.set()
        await stop.wait()
        await server.drain(1.0)

    thread = threading.Thread(target=lambda: run_loop(serve()), name="penstock-waiting")
    thread.start()
    up.wait()
    try:
        yield
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
