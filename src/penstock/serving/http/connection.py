"""One connection: bytes in, requests out in order, responses back in the same order (RFC 9112).

A handler that returns a Response at once is answered in the same turn of the loop. A request that must wait behind an
earlier one waits in ``_queue`` while the socket is not read. No timer is set per request: the server's tick compares
``deadline`` with its coarse clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from enum import IntEnum, IntFlag
from functools import partial
from typing import Protocol, cast

import httptools

from penstock.ground.errors import PenstockError
from penstock.serving.http.body import BodyStream
from penstock.serving.http.types import (
    Application,
    ClientDisconnected,
    Headers,
    Limits,
    Refused,
    Request,
    Response,
)
from penstock.serving.http.wire import CONTINUE, LAST_CHUNK, chunk_bytes, head_bytes, may_have_body

NEVER = float("inf")
MAX_TARGET_BYTES = 32 << 10
MAX_HEAD_BYTES = 64 << 10
MAX_FIELDS = 256
SLACK_BYTES = 64 << 10
SMALL_BODY_BYTES = 64 << 10
LINGER_S = 2.0


class State(IntEnum):
    """What the parser is inside of."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    DISCARDING = 3


class Hold(IntFlag):
    """Why the socket is not being read."""

    PIPELINE = 1
    STREAM = 2
    WRITE = 4


class Marks(Protocol):
    """Where it is marked, by connection, that an answer is owed: a bytearray, or memory shared with a supervisor."""

    def __setitem__(self, slot: int, owed: int, /) -> None: ...


class Host(Protocol):
    """What a connection needs of its server."""

    application: Application
    marks: Marks
    now: float
    date: str
    draining: bool
    head_timeout_s: float
    body_timeout_s: float
    body_bytes_per_s: float
    keep_alive_s: float
    write_timeout_s: float

    def failed(self, error: Exception, request: Request | None) -> Response:
        """The answer to ``request`` when its handler raised ``error``."""

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_begun",
        "_blocked",
        "_body",
        "_body_since",
        "_busy",
        "_client",
        "_eof",
        "_fields",
        "_head_bytes",
        "_held",
        "_host",
        "_incoming",
        "_last",
        "_limits",
        "_loop",
        "_owes_continue",
        "_parser",
        "_queue",
        "_raw_bytes",
        "_received_bytes",
        "_replaying",
        "_state",
        "_stream",
        "_target",
        "_task",
        "_transport",
        "_upgrading",
        "_writable",
        "_writing",
        "deadline",
        "slot",
    )

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._state = State.IDLE
        self._queue: deque[Request | Response] = deque()
        self._busy = False  # a request is being answered
        self._blocked = False  # the client does not read what we write
        self._last = False  # the response under way is this connection's last
        self._eof = False
        self._held = Hold(0)
        self._upgrading = False  # the head offers another protocol
        self._replaying = False  # the parser is fed a head we made
        self._owes_continue = False
        self._body_since = 0.0
        self._task: asyncio.Task[None] | None = None
        self._writing = False
        self._writable: asyncio.Future[None] | None = None
        self._incoming: Request | None = None
        self._stream: BodyStream | None = None
        self._body: list[bytes] = []
        self._target = b""
        self._fields: dict[bytes, bytes] = {}
        self._head_bytes = self._raw_bytes = self._received_bytes = 0
        self._limits = Limits()
        self.deadline = host.now + host.head_timeout_s
        self.slot = 0  # where host.marks says that an answer is owed

    def fileno(self) -> int:
        """The socket's descriptor."""
        return int(self._transport.get_extra_info("socket").fileno())

    # -- the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("unix", 0)
        self._host.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._state is State.DISCARDING:
            return
        before = self._state
        self._begun = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Exception) else error)
        except httptools.HttpParserError as error:
            if not self._last:  # after 'Connection: close' whatever follows is ignored
                self._refuse(Refused(400, f"The request is not valid HTTP/1.1: {error}."))
        else:
            if self._begun == 0 or (self._begun == 1 and before is State.IDLE):  # all of data is of one message
                self._count_unfinished(len(data))

    def eof_received(self) -> bool:
        """Keeps our half open while answers are owed: a client may shut down its sending side and still listen."""
        self._eof = True
        if self._stream is not None:
            self._stream.fail(ClientDisconnected("the client ended its request early"))
        return self._busy or bool(self._queue)

    def connection_lost(self, error: Exception | None) -> None:
        self._host.closed(self)
        self.deadline = NEVER
        self._queue.clear()
        if self._stream is not None:
            self._stream.fail(ClientDisconnected("the client went away"))
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._writing and self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._blocked = True
        self.deadline = self._host.now + self._host.write_timeout_s
        self._hold(Hold.WRITE, True)

    def resume_writing(self) -> None:
        self._blocked = False
        self.deadline = NEVER if self._busy else self._host.now + self._host.keep_alive_s
        self._hold(Hold.WRITE, False)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._advance()

    # -- the parser calls

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        if self._last:
            raise Refused(400, "Nothing may follow 'Connection: close'.")
        self._state = State.HEAD
        self._begun += 1
        self._target = b""
        self._fields = {}
        self._head_bytes = self._raw_bytes = 0
        if not self._busy:
            self.deadline = self._host.now + self._host.head_timeout_s

    def on_url(self, piece: bytes) -> None:
        if self._replaying:
            return
        self._target += piece
        if len(self._target) > MAX_TARGET_BYTES:
            raise Refused(414, f"The request target is longer than {MAX_TARGET_BYTES} bytes. Shorten it.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._state is not State.HEAD or self._replaying:
            return  # a trailer field: read over (RFC 9110, 6.5.1)
        fields = self._fields
        name = name.lower()
        self._head_bytes += len(name) + len(value) + 4
        if name in fields:
            if name in (b"host", b"content-length", b"content-type"):
                raise Refused(400, f"The header {name.decode('latin-1')!r} is given twice. Send it once.")
            value = fields[name] + b", " + value
        fields[name] = value.rstrip(b" \t")
        if self._head_bytes > MAX_HEAD_BYTES or len(fields) > MAX_FIELDS:
            raise _too_long_head()

    def on_headers_complete(self) -> None:
        if self._replaying:
            return
        parser = self._parser
        fields = self._fields
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refused(505, f"HTTP/{version} is not spoken here. Use HTTP/1.1.")
        if version == "1.1" and b"host" not in fields:
            raise Refused(400, "The request has no 'Host' header. Send one.")
        request = self._incoming = Request(
            parser.get_method().decode("ascii"),
            self._target.decode("latin-1"),
            Headers(fields),
            client=self._client,
            version=version,
            keep_alive=parser.should_keep_alive(),
        )
        if b"upgrade" in fields or request.method == "CONNECT":
            if request.method == "CONNECT":
                raise Refused(405, "CONNECT is not offered here.")
            self._upgrading = parser.should_upgrade()
        if b"content-length" in fields or b"transfer-encoding" in fields:
            self._expect_body(request, fields)

    def on_body(self, piece: bytes) -> None:
        self._received_bytes += len(piece)
        if self._received_bytes > self._limits.max_body_bytes:
            raise _too_large_body(self._limits)
        if self._stream is not None:
            self._stream.feed(piece)
        else:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        if self._upgrading:
            self._upgrading = False
            if self._state is State.BODY:
                return  # the parser skipped the body: _ignore_upgrade feeds it
        self._replaying = False
        request = self._incoming
        assert request is not None
        self._incoming = None
        self._state = State.IDLE
        if self._stream is not None:
            self._stream.finish()
            self._stream = None
            return
        if self._body:
            request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []
        self._accept(request)

    # -- bodies

    def _expect_body(self, request: Request, fields: dict[bytes, bytes]) -> None:
        """Asks the route for its limits, and starts it if it wants a stream."""
        limits = self._limits = self._host.application.limits(request)
        self._state = State.BODY
        self._received_bytes = 0
        if int(fields.get(b"content-length", b"0")) > limits.max_body_bytes:
            raise _too_large_body(limits)
        expectation = fields.get(b"expect")
        if expectation is not None and expectation.lower() != b"100-continue":
            raise Refused(417, "Only 'Expect: 100-continue' is understood. Leave the header out.")
        self._owes_continue = expectation is not None and request.version == "1.1"
        self._body_since = self._host.now
        if not self._busy:
            self.deadline = self._body_since + self._host.body_timeout_s
        if limits.stream:
            self._stream = BodyStream(throttle=lambda held: self._hold(Hold.STREAM, held), wanted=self._continue)
            request.stream = self._stream
            self._accept(request)
        elif not self._busy:
            self._continue()

    def _continue(self) -> None:
        if self._owes_continue:
            self._owes_continue = False
            if self._state is State.BODY and not self._received_bytes:
                self._transport.write(CONTINUE)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Goes on in HTTP/1.1 when a client offers another protocol: RFC 9110, 7.8 lets a server ignore the offer.

        The parser stops at such a head and takes the message for bodiless. The body, if one was declared, is fed to a
        fresh parser behind a head that repeats its framing, so that it can never be read as a request.
        """
        fields = self._fields
        self._parser = httptools.HttpRequestParser(self)
        if self._incoming is not None:
            self._replaying = True
            framing = b"POST / HTTP/1.1\r\n"
            for name in (b"content-length", b"transfer-encoding"):
                if name in fields:
                    framing += name + b": " + fields[name] + b"\r\n"
            rest = framing + b"\r\n" + rest
        if rest:
            self.data_received(rest)

    def _count_unfinished(self, size_bytes: int) -> None:
        """Bounds what the parser may hold of a head, or of framing between body bytes, that does not end."""
        self._raw_bytes += size_bytes
        if self._state is State.HEAD and self._raw_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_long_head())
        elif self._state is State.BODY and self._raw_bytes > 16 * self._received_bytes + SLACK_BYTES:
            self._refuse(Refused(400, "The body's chunks are mostly framing. Send larger chunks."))

    def _hold(self, reason: Hold, held: bool) -> None:
        before = self._held
        self._held = before | reason if held else before & ~reason
        if self._transport.is_closing():
            return
        if self._held and not before:
            self._transport.pause_reading()
        elif before and not self._held:
            self._transport.resume_reading()

    # -- answering, in order

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
        elif isinstance(result, asyncio.Future):
            result.add_done_callback(partial(self._resolved, item))
        else:
            self._task = self._loop.create_task(self._await(item, result))

    def _resolved(self, request: Request, done: asyncio.Future[Response]) -> None:
        """Answers with a future's result; a future needs no task of its own."""
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is not None:
            given = error if isinstance(error, Exception) else ConnectionAbortedError("the answer was given up")
            self._answer(request, self._host.failed(given, request))
        else:
            self._answer(request, done.result())
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

    def _refuse(self, error: Exception) -> None:
        """Answers ``error`` once earlier requests are answered, and closes; reads no more requests."""
        if self._state is State.DISCARDING:
            return
        streaming = self._stream
        self._state = State.DISCARDING
        self._body = []
        self._owes_continue = False
        if streaming is not None:
            streaming.fail(error if isinstance(error, Refused | PenstockError) else ClientDisconnected(str(error)))
        else:
            self._accept(self._host.failed(error, self._incoming))

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

    # -- the server calls

    def expire(self) -> None:
        """The deadline has passed: answer 408, or close."""
        self.deadline = NEVER
        if self._blocked:
            self._transport.abort()
        elif self._state is State.HEAD:
            self._refuse(Refused(408, "The request's head did not arrive in time."))
        elif self._state is State.BODY:
            self._expire_body()
        else:
            self._transport.close()

    def _expire_body(self) -> None:
        """A body may take ``body_timeout_s`` plus the time its bytes need at the slowest rate that is waited for."""
        host = self._host
        allowed_s = host.body_timeout_s + self._received_bytes / host.body_bytes_per_s
        if self._held:
            self._body_since = host.now  # it is we who are not reading
        self.deadline = self._body_since + allowed_s
        if self.deadline > host.now:
            return
        self.deadline = NEVER
        self._refuse(Refused(408, "The request's body did not arrive in time."))

    def drain(self) -> None:
        """Closes now if nothing is owed; else the answer under way is the last."""
        if not self._busy and not self._queue and self._state in (State.IDLE, State.DISCARDING):
            self._transport.close()

    def abort(self) -> None:
        """Cuts the connection and the answer under way."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()


def _too_long_head() -> Refused:
    return Refused(431, f"The header section is over {MAX_HEAD_BYTES} bytes or {MAX_FIELDS} fields. Shorten it.")


def _too_large_body(limits: Limits) -> Refused:
    return Refused(413, f"The body is over the limit of {limits.max_body_bytes} bytes. Send less at a time.")
