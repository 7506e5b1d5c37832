"""A serverless pool: a container a request, none beyond what is allowed, none for ever; with the real event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from penstock.rehearsal.fleet.instance import Instance
from penstock.rehearsal.fleet.serverless import NoConcurrencyLeft, ServerlessPool
from penstock.rehearsal.traffic.upstream import UpstreamFailed

Scenario = Callable[["Works"], Awaitable[None]]


class Works:
    """Makes instances that do nothing, once they may start."""

    def __init__(self, *, most: int = 8, idle_s: float = 0.0, **config: int) -> None:
        self.instances: list[Instance] = []
        self.stopped: list[Instance] = []
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.broken = False
        settings: dict[str, Any] = {"MaxConcurrency": 5, **config}
        self.pool = ServerlessPool(settings, self.instances, start=self.start, stop=self.stop, idle_s=idle_s, most=most)

    async def start(self) -> Instance:
        await self.may_start.wait()
        if self.broken:
            raise ValueError("wrong weights")
        instance = Instance(f"i-{len(self.instances) + len(self.stopped)}", [])
        self.instances.append(instance)
        return instance

    async def stop(self, instance: Instance) -> None:
        self.stopped.append(instance)

    async def take(self) -> Instance:
        instance, _ = await self.pool.acquire(timeout_s=5)
        instance.outstanding += 1
        return instance


def play(scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        works = Works(**settings)
        await scenario(works)
        await works.pool.close()

    asyncio.run(run())


def test_each_request_has_a_container_of_its_own_and_the_next_finds_it_warm() -> None:
    async def scenario(works: Works) -> None:
        first, second = await asyncio.gather(works.take(), works.take())
        assert first is not second
        first.outstanding = 0
        assert await works.pool.acquire(timeout_s=5) == (first, None)

    play(scenario)


def test_more_than_max_concurrency_are_refused_waiting_ones_included() -> None:
    async def scenario(works: Works) -> None:
        works.may_start.clear()
        waiting = [asyncio.ensure_future(works.take()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(NoConcurrencyLeft):
            await works.take()
        works.may_start.set()
        await asyncio.gather(*waiting)

    play(scenario, MaxConcurrency=2)


def test_where_the_machine_carries_no_more_requests_share() -> None:
    async def scenario(works: Works) -> None:
        taken = [await works.take() for _ in range(4)]
        assert len(works.instances) == 2
        assert sorted(instance.outstanding for instance in set(taken)) == [2, 2]

    play(scenario, most=2)


def test_idle_containers_end_but_provisioned_ones() -> None:
    async def scenario(works: Works) -> None:
        await works.pool.provision()
        taken = [await works.take() for _ in range(3)]
        works.pool.reap()
        assert len(works.instances) == 3
        for instance in taken:
            instance.outstanding = 0
        works.pool.reap()
        assert (len(works.instances), works.pool.provisioned) == (1, 1)

    play(scenario, ProvisionedConcurrency=1)


def test_a_start_that_fails_is_told_and_the_next_request_tries_again() -> None:
    async def scenario(works: Works) -> None:
        works.broken = True
        with pytest.raises(UpstreamFailed, match="wrong weights"):
            await works.take()
        works.broken = False
        await works.take()

    play(scenario)


def test_a_start_that_takes_too_long_goes_on_for_the_next() -> None:
    async def scenario(works: Works) -> None:
        works.may_start.clear()
        with pytest.raises(TimeoutError):
            await works.pool.acquire(timeout_s=0.01)
        works.may_start.set()
        await works.take()
        assert len(works.instances) == 1

    play(scenario, most=1)
