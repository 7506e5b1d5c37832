"""Waiting on the event loop for something that only looking can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def until(condition: Callable[[], bool], *, seconds: float, every_s: float = 0.01) -> bool:
    """Whether ``condition`` came true within ``seconds``; returns as soon as it has."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(every_s)
    return True


async def through(work: asyncio.Future[Any]) -> None:
    """Waits for a thread's end, come what may: what it makes can be removed only once it has stopped making it."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
