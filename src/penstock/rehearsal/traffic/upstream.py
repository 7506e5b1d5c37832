"""HTTP/1.1 to one container: kept-alive connections over loopback, an answer whole or as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import cast

import httptools

from penstock.rehearsal.runner.network import socket_inside
from penstock.serving.http.body import BodyStream

# A server closes an idle connection after some seconds (uvicorn: 5), and an invocation that meets the close must not be
# sent twice; so a connection is used again only while no server would have closed it.
_IDLE_SECONDS = 4.0
_JOINED_BYTES = 64 << 10


class UpstreamFailed(Exception):
    """The container gave no answer, though it may have seen the request."""


class NotListening(UpstreamFailed):
    """Nobody takes connections on the container's port: it is gone, and nothing was sent."""


Headers = list[tuple[str, str]]


class Answer:
    """A container's answer: ``body`` whole, or empty beside ``stream``; ``origin`` is what messages call it."""

    __slots__ = ("body", "headers", "origin", "status", "stream")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.origin = "primary"
        self.stream: AsyncIterator[bytes] | None = None


# What is told of an exchange: the answer, or why there is none.
Done = Callable[[Answer | None, Exception | None], None]


class _Connection(asyncio.Protocol):
    """One connection; it carries one exchange at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.idle_since = 0.0
        self._done: Done | None = None
        self._complete = self._keep = False
        self._reset(streaming=False)

    def _reset(self, *, streaming: bool) -> None:
        if not self.reusable:
            self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._pieces: list[bytes] = []
        self._streaming = streaming
        self._body: BodyStream | None = None
        self._complete = False
        self._keep = True

    @property
    def reusable(self) -> bool:
        return not self.closed and self._complete and self._keep

    async def exchange(self, head: bytes, body: bytes, *, streaming: bool) -> Answer:
        """Sends the request; the answer once it is complete, or once its head is here when ``streaming``."""
        if self.closed or self.transport is None:
            raise UpstreamFailed("the connection is closed")
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(answer: Answer | None, error: Exception | None) -> None:
            if not waiter.done():
                waiter.set_exception(error) if answer is None and error else waiter.set_result(answer or self._answer)

        self.send(head, body, done, streaming=streaming)
        try:
            return await waiter
        finally:
            self._done = None

    def send(self, head: bytes, body: bytes, done: Done, *, streaming: bool = False) -> None:
        """Sends the request, and has ``done`` called, once, with what comes of it. The connection must be open."""
        assert self.transport is not None
        self._reset(streaming=streaming)
        self._done = done
        if len(body) <= _JOINED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))

    def give_up(self) -> None:
        """The answer has not come in time."""
        self._settle(None, TimeoutError())
        self.close()

    def _settle(self, answer: Answer | None, error: Exception | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(answer, error)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(UpstreamFailed(f"the answer is not HTTP: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer.status and self._body is None and not self._complete and "content-length" not in (
            self._answer.headers
        ) and self._answer.headers.get("transfer-encoding") is None and self._pieces:  # fmt: skip
            self.on_message_complete()
            return
        self._fail(UpstreamFailed("the container closed the connection"))

    def _fail(self, error: UpstreamFailed) -> None:
        if self._done is not None:
            self._settle(None, error)
        elif self._body is not None and not self._complete:
            self._body.fail(error)

    # -- the parser's calls

    def on_status(self, _reason: bytes) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._keep = self._parser.should_keep_alive()
        if self._streaming:
            self._body = BodyStream(throttle=self._throttle, wanted=lambda: None)
            self._answer.stream = self._body
            self._settle(self._answer, None)

    def on_body(self, piece: bytes) -> None:
        if self._body is not None:
            self._body.feed(piece)
        else:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._complete = True
        if self._body is not None:
            self._body.finish()
            return
        self._answer.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._settle(self._answer, None)

    def _throttle(self, full: bool) -> None:
        if self.transport is not None and not self.closed:
            self.transport.pause_reading() if full else self.transport.resume_reading()


class Upstream:
    """A container's server on a loopback port; ``inside`` names a process in whose network namespace that port is."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", inside: int | None = None) -> None:
        self.host = host
        self.port = port
        self._inside = inside
        self._idle: list[_Connection] = []

    async def call(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", *, timeout_s: float
    ) -> Answer:
        """The whole answer. Raises UpstreamFailed, or TimeoutError after ``timeout_s``."""
        head = self._head(method, path, headers, len(body))
        async with asyncio.timeout(timeout_s):
            connection = await self._connection()
            try:
                answer = await connection.exchange(head, body, streaming=False)
            except BaseException:
                connection.close()
                raise
        self._keep(connection)
        return answer

    async def open(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", *, timeout_s: float
    ) -> tuple[Answer, _Connection]:
        """The answer once its head is here; give the connection to ``release`` when its stream has been read."""
        head = self._head(method, path, headers, len(body))
        async with asyncio.timeout(timeout_s):
            connection = await self._connection()
            try:
                return await connection.exchange(head, body, streaming=True), connection
            except BaseException:
                connection.close()
                raise

    def start(self, path: str, headers: Headers, body: bytes, *, timeout_s: float, done: Done) -> bool:
        """Posts at once on a connection that is open, and has ``done`` called with the answer or the failure.

        False, with nothing sent, if no connection is open. It spares the caller a task, a future and a timeout's
        context: 60 us of the 150 us that an invocation cost.
        """
        connection = self._open_connection()
        if connection is None:
            return False
        timer = asyncio.get_running_loop().call_later(timeout_s, connection.give_up)

        def finished(answer: Answer | None, error: Exception | None) -> None:
            timer.cancel()
            self._keep(connection)
            done(answer, error)

        connection.send(self._head("POST", path, headers, len(body)), body, finished)
        return True

    def release(self, connection: _Connection) -> None:
        self._keep(connection)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _head(self, method: str, path: str, headers: list[tuple[str, str]], size: int) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if size or method != "GET":
            lines.append(f"content-length: {size}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def _connection(self) -> _Connection:
        connection = self._open_connection()
        if connection is not None:
            return connection
        loop = asyncio.get_running_loop()
        try:
            if self._inside is not None:
                made = socket_inside(self._inside)
                await loop.sock_connect(made, (self.host, self.port))
                return (await loop.create_connection(_Connection, sock=made))[1]
            return (await loop.create_connection(_Connection, self.host, self.port))[1]
        except OSError as error:
            raise NotListening(f"nothing listens on port {self.port}") from error

    def _open_connection(self) -> _Connection | None:
        """A connection that is open and idle, or None."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and now - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _keep(self, connection: _Connection) -> None:
        if connection.reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            with suppress(RuntimeError):
                connection.close()
