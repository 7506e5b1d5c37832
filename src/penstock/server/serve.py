"""Serving: one process, or several that share the listening socket."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable

from penstock.ground.errors import Unavailable
from penstock.server.app import TrackingApp
from penstock.server.context import ServerOptions
from penstock.server.errors import render_error
from penstock.serving.http.loop import run_loop
from penstock.serving.http.server import HttpServer, listener
from penstock.store.open import open_store

LOG = logging.getLogger("penstock.server")
SHORT_LIFE_S = 2.0
MAX_FAILURES = 8
Ready = Callable[[tuple[str, int]], None]


def serve(options: ServerOptions, *, ready: Ready = lambda _: None) -> None:
    """Serves until SIGTERM or SIGINT, then drains. ``ready`` is told the address once the server listens.

    Raises InvalidInput for an address that cannot be had, and what ``open_store`` raises.
    """
    with open_store(options.store_uri, artifact_root=options.artifact_root):
        pass  # one process brings the schema up to date, and a bad URI is told before anything starts
    sock = listener(options.host, options.port)
    ready(sock.getsockname()[:2])
    if options.workers <= 1:
        run_loop(_work(options, sock))
    else:
        _supervise(options, sock)


async def _work(options: ServerOptions, sock: socket.socket) -> None:
    """One worker's life."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with open_store(options.store_uri, artifact_root=options.artifact_root) as store:
        app = TrackingApp(store, options)
        try:
            server = HttpServer(app, render_error=render_error)
            await server.start(sock=sock)
            await stop.wait()
            await server.drain(options.drain_s)
        finally:
            app.close()


def _supervise(options: ServerOptions, sock: socket.socket) -> None:
    """Keeps ``options.workers`` children serving; one that dies is replaced; a signal ends them all."""
    children = {_spawn(options, sock): time.monotonic() for _ in range(options.workers)}
    stopping = False
    failures = 0

    def stop(number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            os.kill(child, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while children:
        child, status = os.wait()
        lived_s = time.monotonic() - children.pop(child)
        if stopping:
            continue
        failures = failures + 1 if lived_s < SHORT_LIFE_S else 0
        if failures > MAX_FAILURES:
            stop(signal.SIGTERM, None)
            raise Unavailable("The workers end as soon as they start.", fix="The log above says why.")
        LOG.error("worker %d ended with status %d; another takes its place", child, status)
        children[_spawn(options, sock)] = time.monotonic()


def _spawn(options: ServerOptions, sock: socket.socket) -> int:
    """The process id of a new worker, which shares what the parent has loaded."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        run_loop(_work(options, sock))
        code = 0
    except BaseException:
        LOG.exception("the worker failed")
        raise
    finally:
        os._exit(code)
