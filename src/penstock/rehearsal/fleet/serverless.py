"""A serverless variant's containers: started when a request finds none free, ended when there was nothing to do.

One request a container, as on AWS, until as many run as this machine should carry; then requests share them. What AWS
does not publish is how long an idle container is kept: here it is five minutes, times the plane's time scale.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from penstock.rehearsal.fleet.instance import Instance
from penstock.rehearsal.traffic.upstream import UpstreamFailed

IDLE_SECONDS = 300.0


class NoConcurrencyLeft(Exception):
    """MaxConcurrency requests are under way."""


class ServerlessPool:
    """Hands out containers of one variant; ``instances`` is the fleet's own list, ``config`` the ServerlessConfig."""

    def __init__(
        self, config: dict[str, Any], instances: list[Instance], *, start: Callable[[], Awaitable[Instance]],
        stop: Callable[[Instance], Awaitable[None]], idle_s: float, most: int | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self._instances = instances
        self._start = start
        self._stop = stop
        self._idle_s = idle_s
        self._most = most or max(2, os.cpu_count() or 2)
        self._starting: set[asyncio.Task[Instance]] = set()
        self._ending: set[asyncio.Future[None]] = set()
        self._used: dict[str, float] = {}
        self._waiting = 0

    @property
    def provisioned(self) -> int:
        """How many containers stay up whatever happens."""
        return int(self.config.get("ProvisionedConcurrency", 0))

    async def acquire(self, *, timeout_s: float) -> tuple[Instance, float | None]:
        """A container to ask, and how many seconds setting it up took if it was cold.

        Raises NoConcurrencyLeft, TimeoutError while it still starts, UpstreamFailed when it does not start.
        """
        if self._waiting + sum(each.outstanding for each in self._instances) >= self.config["MaxConcurrency"]:
            raise NoConcurrencyLeft
        free = next((each for each in self._instances if not each.outstanding), None)
        if free is not None:
            return self._take(free), None
        if self._instances and len(self._instances) + len(self._starting) >= self._limit():
            return self._take(min(self._instances, key=lambda each: each.outstanding)), None
        started = asyncio.get_running_loop().time()
        self._waiting += 1
        try:
            instance = await asyncio.wait_for(asyncio.shield(self._next_start()), timeout_s)
        finally:
            self._waiting -= 1
        return self._take(instance), asyncio.get_running_loop().time() - started

    async def provision(self) -> None:
        """Starts what ProvisionedConcurrency asks for and is not there."""
        missing = self.provisioned - len(self._instances) - len(self._starting)
        await asyncio.gather(*(self._begin() for _ in range(max(0, missing))))

    def reap(self) -> None:
        """Ends the containers that have been idle for long, but those that are provisioned."""
        now = asyncio.get_running_loop().time()
        for instance in list(self._instances):
            if instance.outstanding:
                self._used[instance.id] = now
            elif (
                len(self._instances) > self.provisioned
                and now - self._used.setdefault(instance.id, now) >= self._idle_s
            ):
                self._let_go(instance)
        self._used = {each.id: self._used.get(each.id, now) for each in self._instances}

    async def close(self) -> None:
        """Ends starts under way and waits for what is being ended."""
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, *self._ending, return_exceptions=True)

    def _take(self, instance: Instance) -> Instance:
        self._used[instance.id] = asyncio.get_running_loop().time()
        return instance

    def _limit(self) -> int:
        return min(int(self.config["MaxConcurrency"]), max(self._most, self.provisioned))

    def _next_start(self) -> asyncio.Task[Instance]:
        """A start to wait for: a new one while there may be more, else one that is under way."""
        if len(self._instances) + len(self._starting) < self._limit():
            return self._begin()
        return min(self._starting, key=id)

    def _begin(self) -> asyncio.Task[Instance]:
        task = asyncio.get_running_loop().create_task(self._bring())
        self._starting.add(task)
        task.add_done_callback(self._begun)
        return task

    def _begun(self, task: asyncio.Task[Instance]) -> None:
        self._starting.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # whoever waited has it; nobody may have waited

    async def _bring(self) -> Instance:
        try:
            return await self._start()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise UpstreamFailed(str(error)) from error

    def _let_go(self, instance: Instance) -> None:
        self._instances.remove(instance)
        task = asyncio.ensure_future(self._stop(instance))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
