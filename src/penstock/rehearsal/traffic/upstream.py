"""HTTP/1.1 to one container: kept-alive connections over loopback, an answer whole or as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import httptools

from penstock.rehearsal.runner.network import socket_inside
from penstock.serving.http.body import BodyStream

# A server closes an idle connection after some seconds (uvicorn: 5), and an invocation that meets the close must not be
# sent twice; so a connection is used again only while no server would have closed it.
_IDLE_SECONDS = 4.0


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


class _Connection(asyncio.Protocol):
    """One connection; it carries one exchange at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.idle_since = 0.0
        self._waiter: asyncio.Future[Answer] | None = None
        self._reset(streaming=False)

    def _reset(self, *, streaming: bool) -> None:
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
        self._reset(streaming=streaming)
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.writelines((head, body)) if body else self.transport.write(head)
        try:
            return await self._waiter
        finally:
            self._waiter = None

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
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
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
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(self._answer)

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
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._answer)

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
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and loop.time() - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.close()
        try:
            if self._inside is not None:
                made = socket_inside(self._inside)
                await loop.sock_connect(made, (self.host, self.port))
                return (await loop.create_connection(_Connection, sock=made))[1]
            return (await loop.create_connection(_Connection, self.host, self.port))[1]
        except OSError as error:
            raise NotListening(f"nothing listens on port {self.port}") from error

    def _keep(self, connection: _Connection) -> None:
        if connection.reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            with suppress(RuntimeError):
                connection.close()
