"""What comes in on one connection: bytes become requests, or a refusal (RFC 9112)."""

from __future__ import annotations

import asyncio

import httptools

from penstock.ground.errors import PenstockError
from penstock.serving.http.answers import Answers
from penstock.serving.http.body import BodyStream
from penstock.serving.http.link import Hold, Host, State
from penstock.serving.http.types import ClientDisconnected, Headers, Limits, Refused, Request

MAX_TARGET_BYTES = 32 << 10
MAX_HEAD_BYTES = 64 << 10
MAX_FIELDS = 256
SLACK_BYTES = 64 << 10


class Intake(Answers):
    """The layer that the parser calls; what it reads is answered by the layer below."""

    __slots__ = (
        "_begun",
        "_body",
        "_body_since",
        "_fields",
        "_head_bytes",
        "_incoming",
        "_limits",
        "_parser",
        "_raw_bytes",
        "_replaying",
        "_target",
        "_upgrading",
    )

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(host, loop)
        self._parser = httptools.HttpRequestParser(self)
        self._upgrading = False  # the head offers another protocol
        self._replaying = False  # the parser is fed a head we made
        self._body_since = 0.0
        self._incoming: Request | None = None
        self._body: list[bytes] = []
        self._target = b""
        self._fields: dict[bytes, bytes] = {}
        self._head_bytes = self._raw_bytes = 0
        self._limits = Limits()

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

    # -- bodies and refusals

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


def _too_long_head() -> Refused:
    return Refused(431, f"The header section is over {MAX_HEAD_BYTES} bytes or {MAX_FIELDS} fields. Shorten it.")


def _too_large_body(limits: Limits) -> Refused:
    return Refused(413, f"The body is over the limit of {limits.max_body_bytes} bytes. Send less at a time.")
