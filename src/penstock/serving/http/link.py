"""What reading and answering on one connection share: its socket, its state and its deadline.

No timer is set per request: the server's tick compares ``deadline`` with its coarse clock.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum, IntFlag
from typing import Protocol

from penstock.serving.http.body import BodyStream
from penstock.serving.http.types import Application, Request, Response
from penstock.serving.http.wire import CONTINUE

NEVER = float("inf")


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
    """What reading and answering need of the server."""

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


class Link(asyncio.Protocol):
    """The ground of a connection: ``Answers`` stands on it, ``Intake`` on that, ``Connection`` on top.

    They are one object in layers, each calling only downward, so that a request costs no hop between objects.
    """

    __slots__ = (
        "_blocked",
        "_busy",
        "_client",
        "_eof",
        "_held",
        "_host",
        "_last",
        "_loop",
        "_owes_continue",
        "_received_bytes",
        "_state",
        "_stream",
        "_transport",
        "deadline",
        "slot",
    )

    _transport: asyncio.Transport
    _client: tuple[str, int]

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._state = State.IDLE
        self._busy = False  # a request is being answered
        self._blocked = False  # the client does not read what we write
        self._last = False  # the response under way is this connection's last
        self._eof = False
        self._held = Hold(0)
        self._owes_continue = False
        self._received_bytes = 0  # of the body that is coming in
        self._stream: BodyStream | None = None
        self.deadline = host.now + host.head_timeout_s
        self.slot = 0  # where host.marks says that an answer is owed

    def fileno(self) -> int:
        """The socket's descriptor."""
        return int(self._transport.get_extra_info("socket").fileno())

    def _hold(self, reason: Hold, held: bool) -> None:
        before = self._held
        self._held = before | reason if held else before & ~reason
        if self._transport.is_closing():
            return
        if self._held and not before:
            self._transport.pause_reading()
        elif before and not self._held:
            self._transport.resume_reading()

    def _continue(self) -> None:
        if self._owes_continue:
            self._owes_continue = False
            if self._state is State.BODY and not self._received_bytes:
                self._transport.write(CONTINUE)
