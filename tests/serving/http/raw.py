"""An application with one route for each way of answering, and a raw socket to speak to it byte by byte."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

from penstock.ground.errors import NotFound
from penstock.serving.http.server import HttpServer
from penstock.serving.http.types import Limits, Request, RequestHead, Response

DEADLINE_S = 20.0


@dataclass
class Echo:
    """An application with one route for each way of answering."""

    gate: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)
    fed_bytes: int = 0

    def limits(self, head: RequestHead) -> Limits:
        if head.path == "/missing":
            raise NotFound("Nothing is here.")
        return Limits(1 << 30 if head.path == "/count" else 1000, stream=head.path in ("/count", "/early"))

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        self.seen.append(request.target)
        if request.path == "/raise":
            raise RuntimeError("boom")
        if request.path in ("/async", "/count", "/wait"):
            return self.slowly(request)
        if request.path == "/stream":
            return Response(200, self.pieces(int(request.query or "3")))
        if request.path == "/flood":
            return Response(200, self.flood())
        if request.path == "/sized":
            return Response(200, self.pieces(3), [("Content-Length", "24")])
        if request.path == "/cut":
            return Response(200, self.broken())
        if request.path == "/split":
            return Response(200, b"", [("x-evil", "a\r\nb: c")])
        if request.path == "/empty":
            return Response(204)
        return Response(200, request.method.encode() + b" " + request.target.encode() + b" " + request.body)

    async def slowly(self, request: Request) -> Response:
        if request.path == "/wait":
            await asyncio.to_thread(self.gate.wait, DEADLINE_S)
        if request.stream is not None:
            total = 0
            async for piece in request.stream:
                total += len(piece)
                if request.query == "slow":
                    await asyncio.to_thread(self.gate.wait, DEADLINE_S)
                self.fed_bytes = total
            return Response(200, str(total).encode())
        await asyncio.sleep(0)
        return Response(200, b"async " + request.target.encode())

    async def pieces(self, count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            await asyncio.sleep(0)
            self.fed_bytes += 8
            yield b"%08d" % number

    async def flood(self) -> AsyncIterator[bytes]:
        while self.fed_bytes < 1 << 30:
            await asyncio.sleep(0)
            self.fed_bytes += 65536
            yield b"x" * 65536

    async def broken(self) -> AsyncIterator[bytes]:
        yield b"some"
        raise RuntimeError("no more")


@dataclass
class Running:
    """A server in a thread of its own loop."""

    server: HttpServer
    echo: Echo
    port: int
    loop: asyncio.AbstractEventLoop
    wires: list[Wire] = field(default_factory=list)

    def connect(self) -> Wire:
        self.wires.append(Wire(socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)))
        return self.wires[-1]

    def drain(self, seconds: float) -> bool:
        return asyncio.run_coroutine_threadsafe(self.server.drain(seconds), self.loop).result(DEADLINE_S)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection, spoken to in bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def send(self, data: bytes) -> Wire:
        self.sock.sendall(data)
        return self

    def send_until_stuck(self) -> int:
        """How many bytes of a body went out before the server stopped reading for half a second."""
        self.sock.settimeout(0.5)
        sent = 0
        with suppress(TimeoutError):
            while True:
                sent += self.sock.send(b"x" * 65536)
        self.sock.settimeout(DEADLINE_S)
        return sent

    def get(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Answer:
        self.send(request_bytes(target, *fields, method=method, body=body))
        return self.answer(method == "HEAD")

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(self.buffer)
        piece, _, self.buffer = self.buffer.partition(mark)
        return piece

    def _exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self._more():
                raise EOFError(self.buffer)
        piece, self.buffer = self.buffer[:count], self.buffer[count:]
        return piece

    def answer(self, head_only: bool = False) -> Answer:
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        if head_only or status in (100, 204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, self._chunks())
        if "content-length" in headers:
            return Answer(status, headers, self._exactly(int(headers["content-length"])))
        return Answer(status, headers, self.rest())

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return body

    def rest(self) -> bytes:
        """What comes until the server closes."""
        while self._more():
            pass
        piece, self.buffer = self.buffer, b""
        return piece

    def is_closed(self) -> bool:
        return self.rest() == b""


def request_bytes(target: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
