"""A request body read as it arrives, with back-pressure on the socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

HIGH_WATER_BYTES = 256 << 10
LOW_WATER_BYTES = 64 << 10


class BodyStream:
    """An async iterator over the pieces of a request body.

    ``throttle(True)`` is called when more than 256 KiB wait unread, ``throttle(False)`` when the reader has caught up;
    ``wanted`` once, when the reader first asks (that is when '100 Continue' goes out).
    """

    __slots__ = ("_error", "_pieces", "_size_bytes", "_throttle", "_throttled", "_waiter", "_wanted", "complete")

    def __init__(self, *, throttle: Callable[[bool], None], wanted: Callable[[], None]) -> None:
        self._pieces: deque[bytes] = deque()
        self._size_bytes = 0
        self._throttle = throttle
        self._throttled = False
        self._wanted: Callable[[], None] | None = wanted
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.complete = False

    def feed(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size_bytes += len(piece)
        if self._size_bytes > HIGH_WATER_BYTES and not self._throttled:
            self._throttled = True
            self._throttle(True)
        self._wake()

    def finish(self) -> None:
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Makes the reader raise ``error`` once it has read what had arrived."""
        if not self.complete:
            self._error = error
            self._wake()

    def __aiter__(self) -> BodyStream:
        return self

    async def __anext__(self) -> bytes:
        if self._wanted is not None:
            self._wanted()
            self._wanted = None
        while not self._pieces:
            if self.complete:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        self._size_bytes -= len(piece)
        if self._throttled and self._size_bytes <= LOW_WATER_BYTES:
            self._throttled = False
            self._throttle(False)
        return piece

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
