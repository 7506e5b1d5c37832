"""The answers of one connection, in the order of their requests (RFC 9112, 9.3.2).

A handler that returns a Response at once is answered in the same turn of the loop. A request that must wait behind an
earlier one waits in ``_queue`` while the socket is not read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from functools import partial

from penstock.serving.http.link import NEVER, Hold, Host, Link, State
from penstock.serving.http.types import Promise, Request, Response
from penstock.serving.http.wire import LAST_CHUNK, chunk_bytes, head_bytes, may_have_body

SMALL_BODY_BYTES = 64 << 10
LINGER_S = 2.0


class Answers(Link):
    """The layer that has requests handled, one at a time, and writes what comes of them."""

    __slots__ = ("_queue", "_task", "_writable", "_writing")

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(host, loop)
        self._queue: deque[Request | Response] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writing = False
        self._writable: asyncio.Future[None] | None = None

    def _accept(self, item: Request | Response) -> None:
        if self._busy or self._blocked:
            self._queue.append(item)
            self._hold(Hold.PIPELINE, True)
        else:
            self._start(item)

    def _advance(self) -> None:
        """Starts what waits, until something takes time."""
        while self._queue and not self._busy and not self._blocked:
            self._start(self._queue.popleft())
        if not self._queue and self._held & Hold.PIPELINE and not self._busy:
            self._hold(Hold.PIPELINE, False)
        if not self._busy and self._owes_continue and self._state is State.BODY:
            self._continue()

    def _start(self, item: Request | Response) -> None:
        self._busy = True
        self._host.marks[self.slot] = 1
        if self._state is not State.BODY:
            self.deadline = NEVER
        if isinstance(item, Response):
            self._last = True
            self._answer(None, item)
            return
        try:
            result = self._host.application(item)
        except Exception as error:  # noqa: BLE001 - the edge: whatever a handler raises is answered
            result = self._host.failed(error, item)
        if isinstance(result, Response):
            self._answer(item, result)
        elif isinstance(result, Promise):
            result.then(partial(self._kept, item))
        else:
            self._task = self._loop.create_task(self._await(item, result))

    def _kept(self, request: Request, outcome: Response | Exception) -> None:
        """Answers with what was promised."""
        self._answer(request, outcome if isinstance(outcome, Response) else self._host.failed(outcome, request))
        self._advance()

    async def _await(self, request: Request, awaitable: Awaitable[Response]) -> None:
        try:
            response = await awaitable
        except Exception as error:  # noqa: BLE001 - the edge: whatever a handler raises is answered
            response = self._host.failed(error, request)
        if isinstance(response.body, bytes):
            self._answer(request, response)
        else:
            await self._send_stream(request, response, response.body)
        self._advance()

    def _answer(self, request: Request | None, response: Response) -> None:
        body = response.body
        if not isinstance(body, bytes):
            assert request is not None
            self._task = self._loop.create_task(self._send_stream_then_advance(request, response, body))
            return
        transport = self._transport
        if not transport.is_closing():
            try:
                head = self._head(request, response, len(body))
            except ValueError as error:  # a header that cannot go on the wire
                self._answer(request, self._host.failed(error, request))
                return
            if not body or not may_have_body(request.method if request else "", response.status):
                transport.write(head)
            elif len(body) <= SMALL_BODY_BYTES:
                transport.write(head + body)
            else:
                transport.write(head)
                transport.write(body)
        self._finish()

    async def _send_stream_then_advance(self, request: Request, response: Response, body: AsyncIterator[bytes]) -> None:
        await self._send_stream(request, response, body)
        self._advance()

    async def _send_stream(self, request: Request, response: Response, body: AsyncIterator[bytes]) -> None:
        self._writing = True
        try:
            await self._send_pieces(request, response, body)
        except asyncio.CancelledError:
            if not self._transport.is_closing():
                raise
        except Exception as error:  # noqa: BLE001 - the edge: a cut body is the only answer left
            self._host.failed(error, request)
            self._transport.abort()
        finally:
            self._writing = False
            closer = getattr(body, "aclose", None)
            if closer is not None:
                await closer()
        self._finish()

    async def _send_pieces(self, request: Request, response: Response, body: AsyncIterator[bytes]) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        sized = any(name.lower() == "content-length" for name, _ in response.headers)
        if not sized and request.version == "1.0":
            self._last = True
        transport.write(self._head(request, response, None))
        if not may_have_body(request.method, response.status):
            return
        chunked = not sized and request.version == "1.1"
        async for piece in body:
            if transport.is_closing():
                return
            if piece:
                transport.write(chunk_bytes(piece) if chunked else piece)
            if self._blocked:
                self._writable = self._loop.create_future()
                await self._writable
        if chunked and not transport.is_closing():
            transport.write(LAST_CHUNK)

    def _head(self, request: Request | None, response: Response, length: int | None) -> bytes:
        host = self._host
        unread = self._stream is not None and request is not None and request.stream is self._stream
        if request is None or not request.keep_alive or host.draining or unread:
            self._last = True
        version = request.version if request is not None else "1.1"
        method = request.method if request is not None else "GET"
        host.marks[self.slot] = 0
        return head_bytes(response, method=method, length=length, close=self._last, version=version, date=host.date)

    def _finish(self) -> None:
        """The response is written: close, or be ready for the next request."""
        self._busy = False
        self._task = None
        if self._last:
            self._queue.clear()
            self._linger()
        elif self._eof and not self._queue:
            self._transport.close()
        elif not self._blocked:
            host = self._host
            self.deadline = host.now + (host.keep_alive_s if self._state is State.IDLE else host.head_timeout_s)

    def _linger(self) -> None:
        """Sends our end, then reads over what the client still sends for a moment: closing at once would make the
        kernel reset the connection and could take the answer away from the client."""
        transport = self._transport
        if self._state is State.IDLE or self._eof or not transport.can_write_eof():
            transport.close()
            return
        self._state = State.DISCARDING
        self._held = Hold(0)
        with suppress(RuntimeError):
            transport.resume_reading()
        transport.write_eof()
        self.deadline = self._host.now + LINGER_S
