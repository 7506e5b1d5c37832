"""Shadow variants: a copy of some of the traffic, whose answers nobody sees."""

from __future__ import annotations

import asyncio

from penstock.rehearsal.traffic.invocations import INVOCATION_SECONDS, Invocation, forwarded
from penstock.rehearsal.traffic.router import Route
from penstock.rehearsal.traffic.upstream import UpstreamFailed


class Shadows:
    """Sends copies to an endpoint's shadow variants, as many as their weights say against the production's."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, invocation: Invocation) -> None:
        """Starts the copies that are due for this invocation, and returns at once."""
        if not invocation.router.shadows:
            return
        production = sum(route.weight for route in invocation.router.routes) or 1.0
        for shadow in invocation.router.shadows:
            shadow.credit += min(1.0, shadow.weight / production)
            if shadow.credit >= 1.0 - 1e-9:
                shadow.credit -= 1.0
                task = asyncio.get_running_loop().create_task(_copy(invocation, shadow))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)


async def _copy(invocation: Invocation, shadow: Route) -> None:
    target = shadow.choose()
    if target is None:
        return
    target.outstanding += 1
    try:
        await target.invoke(forwarded(invocation.request), invocation.body, timeout_s=INVOCATION_SECONDS)
    except (UpstreamFailed, TimeoutError):
        return  # a shadow's failure is nobody's business but its log's
    finally:
        target.outstanding -= 1
