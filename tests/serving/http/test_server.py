"""Listening, draining, and a client that comes back."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput
from penstock.serving.http.loop import run_loop
from penstock.serving.http.server import HttpServer, listener
from penstock.serving.http.types import Headers
from serving.http.raw import DEADLINE_S, Echo, Running, Wire, request_bytes

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
PROGRAM = """
import sys
from penstock.serving.http.server import run
from serving.http.raw import Echo
run(Echo(), port=0, ready=lambda address: print(address[1], flush=True), drain_s=5)
print("drained", flush=True)
"""


def test_accepted_sockets_do_not_delay_small_answers() -> None:
    with listener("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_taken_port_says_so() -> None:
    with listener("127.0.0.1", 0) as listening, pytest.raises(InvalidInput, match="Cannot listen"):
        listener("127.0.0.1", listening.getsockname()[1])


def test_a_drain_finishes_what_is_under_way(serve: Callable[..., Running]) -> None:
    running = serve()
    idle, busy = running.connect(), running.connect()
    assert idle.get("/a").status == 200
    busy.send(request_bytes("/wait"))
    while "/wait" not in running.echo.seen:
        running.connect().get("/a")
    draining = asyncio.run_coroutine_threadsafe(running.server.drain(DEADLINE_S), running.loop)
    assert idle.is_closed()
    running.echo.gate.set()
    answer = busy.answer()
    assert (answer.body, answer.headers["connection"]) == (b"async /wait", "close")
    assert draining.result(DEADLINE_S)
    with pytest.raises(ConnectionRefusedError):
        running.connect()


def test_a_drain_cuts_what_takes_too_long(serve: Callable[..., Running]) -> None:
    running = serve()
    wire = running.connect().send(request_bytes("/wait"))
    while "/wait" not in running.echo.seen:
        running.connect().get("/a")
    assert not running.drain(0.2)
    assert wire.is_closed()


def test_sigterm_drains_and_ends_with_0() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as sock:
            wire = Wire(sock)
            assert wire.get("/a").status == 200
            process.send_signal(signal.SIGTERM)
            assert wire.is_closed()
        assert process.wait(DEADLINE_S) == 0
        assert process.stdout.read() == b"drained\n"


def test_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> bytes:
        server = HttpServer(Echo())
        path, _ = await server.start(unix_path=tmp_path / "http.sock")
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request_bytes("/u", "Connection: close"))
        answer = await reader.read()
        writer.close()
        await server.drain(1.0)
        return answer

    assert run_loop(main()).endswith(b"GET /u ")


def test_several_servers_share_a_port_with_reuse_port() -> None:
    async def main() -> int:
        first, second = HttpServer(Echo()), HttpServer(Echo())
        _, port = await first.start("127.0.0.1", 0, reuse_port=True)
        _, same = await second.start("127.0.0.1", port, reuse_port=True)
        await first.drain(0.1)
        await second.drain(0.1)
        return same - port

    assert run_loop(main()) == 0


def test_the_standard_library_client_reuses_its_connection(serve: Callable[..., Running]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", serve().port, timeout=DEADLINE_S)
    for _ in range(2):
        client.request(
            "POST", "/x", body=iter([b"a", b"b"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert client.getresponse().read() == b"POST /x ab"
    client.close()


def test_headers_are_found_in_any_case() -> None:
    headers = Headers.of({"Content-Type": "text/csv"})
    assert headers.get("CONTENT-type") == "text/csv"
    assert headers.get("accept") is None
    assert list(headers.items()) == [("content-type", "text/csv")]
