"""One connection: bytes in, requests out in order, responses back in the same order (RFC 9112).

Here is what the transport and the server call: its opening and end, back-pressure, deadlines, draining. What comes in
is read in ``intake``, what goes out is written in ``answers``, and what both know is in ``link``.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from penstock.serving.http.intake import Intake
from penstock.serving.http.link import NEVER, Hold, Host, State
from penstock.serving.http.types import ClientDisconnected, Refused


class ConnectionHost(Host, Protocol):
    """What a connection needs of its server: it is also told which are open."""

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(Intake):
    """One client's connection."""

    __slots__ = ()

    _host: ConnectionHost

    def __init__(self, host: ConnectionHost, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(host, loop)

    # -- the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("unix", 0)
        self._host.opened(self)

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
