"""The event loop: uvloop's when it is installed, asyncio's own otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # optional: without it the server is slower and otherwise the same
    from uvloop import new_event_loop as new_loop

Result = TypeVar("Result")


def run_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What ``coroutine`` returns, run to its end on a fresh loop."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(coroutine)
