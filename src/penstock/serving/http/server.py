"""The server around the connections: listens, keeps coarse time, turns failures into answers, drains."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

from penstock.ground.errors import InvalidInput, PenstockError
from penstock.ground.names import short_id
from penstock.serving.http.connection import Connection
from penstock.serving.http.link import Marks
from penstock.serving.http.loop import run_loop
from penstock.serving.http.types import Application, ClientDisconnected, Refused, Request, Response
from penstock.serving.http.wire import error_response

LOG = logging.getLogger("penstock.serving.http")
TICK_S = 0.1
BACKLOG = 2048
ErrorRenderer = Callable[[Exception, Request | None, str], Response]


def render_error(error: Exception, request: Request | None, request_id: str) -> Response:
    """The JSON answer of ``error``; only our own failures name the request id."""
    own = not isinstance(error, Refused | PenstockError) or error_status(error) >= 500
    return error_response(error, request_id=request_id if own else None)


def error_status(error: Exception) -> int:
    """The HTTP status that ``error`` is answered with."""
    if isinstance(error, Refused):
        return error.status
    return error.http_status if isinstance(error, PenstockError) else 500


class HttpServer:
    """An HTTP/1.1 server of one application on any number of listening sockets.

    A body must arrive within ``body_timeout_s`` plus the time its bytes take at ``body_bytes_per_s``. ``render_error``
    makes the answer of an exception, given the request (None where its head never came) and a request id.
    """

    def __init__(
        self,
        application: Application,
        *,
        head_timeout_s: float = 15.0,
        body_timeout_s: float = 30.0,
        body_bytes_per_s: float = 1024.0,
        keep_alive_s: float = 75.0,
        write_timeout_s: float = 60.0,
        max_connections: int = 20_000,
        render_error: ErrorRenderer = render_error,
    ) -> None:
        self.application = application
        self.head_timeout_s = head_timeout_s
        self.body_timeout_s = body_timeout_s
        self.body_bytes_per_s = body_bytes_per_s
        self.keep_alive_s = keep_alive_s
        self.write_timeout_s = write_timeout_s
        self.max_connections = max_connections
        self.draining = False
        self.marks: Marks = bytearray(1)
        self.now = time.monotonic()
        self.date = ""
        self._render_error = render_error
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        sock: socket.socket | None = None,
        unix_path: Path | None = None,
        reuse_port: bool = False,
    ) -> tuple[str, int]:
        """Listens, and gives the address in use: (host, port), or (path, 0) for a Unix socket.

        Raises InvalidInput when the address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        self._tick()
        if sock is None:
            sock = unix_listener(unix_path) if unix_path is not None else listener(host, port, reuse_port=reuse_port)
        sock.setblocking(False)
        name = sock.getsockname()
        server = await loop.create_server(self.new_connection, sock=sock, backlog=BACKLOG)
        self._listeners.append(server)
        return (name[0], name[1]) if isinstance(name, tuple) else (str(name), 0)

    def new_connection(self) -> Connection:
        """A connection for a socket that has just been accepted."""
        return Connection(self, asyncio.get_running_loop())

    async def drain(self, seconds: float = 25.0) -> bool:
        """Stops listening, lets the answers under way finish for up to ``seconds``, and cuts the rest.

        Gives True when nothing had to be cut.
        """
        self.draining = True
        for listening in self._listeners:
            listening.close()
        for connection in list(self._connections):
            connection.drain()
        clean = await self._wait_until_empty(seconds)
        for connection in list(self._connections):
            connection.abort()
        if not clean:
            await self._wait_until_empty(1.0)
        if self._ticker is not None:
            self._ticker.cancel()
        return clean

    async def _wait_until_empty(self, seconds: float) -> bool:
        if self._connections:
            self._empty.clear()
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                return False
        return True

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    # -- what a connection needs of its host

    def failed(self, error: Exception, request: Request | None) -> Response:
        request_id = _given_id(request) or short_id(16)
        if isinstance(error, ClientDisconnected):
            error = Refused(400, "The request ended before its body was complete.")
        elif not isinstance(error, Refused | PenstockError):
            where = f"{request.method} {request.path}" if request is not None else "a request"
            LOG.error("request %s: %s failed", request_id, where, exc_info=error)
        return self._render_error(error, request, request_id)

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        if len(self._connections) > self.max_connections:
            connection.abort()

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _tick(self) -> None:
        """Moves the coarse clock; once a second of dates, ten times a second of deadlines."""
        now = self.now = time.monotonic()
        self.date = f"date: {formatdate(usegmt=True)}\r\n"
        for connection in [each for each in self._connections if each.deadline < now]:
            connection.expire()
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)


def _given_id(request: Request | None) -> str | None:
    """The caller's own id of the request, where it gave one that a log may hold."""
    given = None if request is None else request.headers.get("x-request-id")
    return given if given and len(given) <= 128 and given.isascii() and given.isprintable() else None


def listener(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening TCP socket with TCP_NODELAY, which the sockets it accepts inherit. Raises InvalidInput.

    Without it Nagle's algorithm waits for the peer's delayed acknowledgement: 40 ms a request.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidInput(f"Cannot listen on {host}:{port}: {error}.", fix="Give an address of this host.") from error
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise InvalidInput(
            f"Cannot listen on {host}:{port}: {error.strerror}.", fix="Free the port or choose another with --port."
        ) from error
    return sock


def unix_listener(path: Path) -> socket.socket:
    """A listening Unix socket at ``path``, in the place of a stale one."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen(BACKLOG)
    return sock


def run(
    application: Application,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    sock: socket.socket | None = None,
    server: HttpServer | None = None,
    ready: Callable[[tuple[str, int]], None] = lambda _: None,
    drain_s: float = 25.0,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains and returns. ``ready`` is told the address once it listens."""

    async def serve() -> None:
        serving = server if server is not None else HttpServer(application)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        ready(await serving.start(host, port, sock=sock))
        await stop.wait()
        await serving.drain(drain_s)

    run_loop(serve())
