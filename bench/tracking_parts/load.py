"""The load: a client that costs next to nothing, the same for every server, over 1 to 64 keep-alive connections.

Every connection sends its next request when the answer to the last one is in. At the end what is under way is waited
for and counted, so that a server that needs seconds for an answer loses none of them.
"""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

API = "/api/2.0/mlflow/"
Request = Callable[[int], bytes]


class Caller:
    """One keep-alive connection that reads its answers, for preparing."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def post(self, path: str, **fields: Any) -> Any:
        self.connection.request("POST", API + path, json.dumps(fields), {"Content-Type": "application/json"})
        return self._answer(path)

    def get(self, path: str) -> Any:
        self.connection.request("GET", path)
        return self._answer(path)

    def _answer(self, path: str) -> Any:
        response = self.connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {content[:300]!r}")
        return json.loads(content) if content[:1] == b"{" else content


def post(path: str, fields: object) -> bytes:
    """A request's bytes."""
    body = json.dumps(fields).encode()
    head = f"POST {API}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str) -> bytes:
    """A request's bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


class Line:
    """A keep-alive connection and the answer that is coming in on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pieces: list[bytes] = []
        self._missing = -1
        self.begun = 0.0

    def send(self, request: bytes) -> None:
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Whether the answer is complete now. Raises SystemExit for one that is no 200."""
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise SystemExit("the server closed a connection under load")
        if self._missing >= 0:
            self._missing -= len(piece)
            return self._missing == 0
        self._pieces.append(piece)
        head, end, body = b"".join(self._pieces).partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a request under load was answered {head[:60]!r} {body[:300]!r}")
        self._missing = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]) - len(body)
        self._pieces = []
        return self._missing == 0

    def again(self) -> float:
        """Ready for the next answer; gives the seconds that this one took."""
        self._missing = -1
        return time.perf_counter() - self.begun


def rate(port: int, request: Request, *, connections: int, seconds: float) -> tuple[float, list[float]]:
    """Answers a second, and how long each took in seconds. ``request`` makes the n-th request's bytes."""
    lines = [Line(port) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
        begun = time.perf_counter()
        took = _drive(selector, lines, request, begun + seconds)
        elapsed = time.perf_counter() - begun
    for line in lines:
        line.socket.close()
    return len(took) / elapsed, took


def _drive(selector: selectors.BaseSelector, lines: list[Line], request: Request, stop: float) -> list[float]:
    took: list[float] = []
    for line in lines:
        line.send(request(next_number()))
    waiting = len(lines)
    while waiting:
        for key, _ in selector.select(120):
            line = key.data
            if line.receive():
                took.append(line.again())
                if time.perf_counter() < stop:
                    line.send(request(next_number()))
                else:
                    waiting -= 1
    return took


_number = time.time_ns() // 1000 - 1_790_000_000_000_000


def next_number() -> int:
    """A number that no earlier call of this benchmark was given."""
    global _number
    _number += 1
    return _number
