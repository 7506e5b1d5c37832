"""Looks after what runs: containers that died or fell silent are replaced, too hungry ones ended, idle ones let go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from penstock.rehearsal.fleet.fleet import Fleet
from penstock.rehearsal.fleet.instance import Instance
from penstock.rehearsal.fleet.launcher import LaunchFailed
from penstock.rehearsal.fleet.memory import Usage, is_over, say_killed, usages
from penstock.rehearsal.metrics import Dimensions, Values
from penstock.rehearsal.runner.container import Container

LOG = logging.getLogger("penstock.rehearsal")
_WATCH_SECONDS = 1.0
_SILENT_PINGS = 5
_CROWDED_PERCENT = 80.0  # of its memory, from which on a multi-model container's models are unloaded one by one
Observe = Callable[[str, Dimensions, Values], None]
"""Takes what is seen of an instance: its region, dimensions, and each metric's value and unit."""


class Watched(NamedTuple):
    """A fleet, the dimension that names it, and whether somebody is changing it just now."""

    name: str
    scope: tuple[str, str]
    fleet: Fleet
    busy: bool

    def dimensions(self, variant: str) -> Dimensions:
        """Those of a variant's metrics; a component has one variant only."""
        return (self.scope, ("VariantName", variant)) if self.scope[0] == "EndpointName" else (self.scope,)


class Watch:
    """Looks once a second, as the platform would; ``sources`` name the fleets."""

    def __init__(self, sources: Iterable[Callable[[], Iterable[Watched]]], *, observe: Observe) -> None:
        self._sources = tuple(sources)
        self._observe = observe
        self._task: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._before: dict[Container, tuple[float, float]] = {}

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        tasks = [task for task in (self._task, *self._work) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            watched = [item for source in self._sources for item in source()]
            await self._measure(watched)
            for each in watched:
                each.fleet.reap()
                if not each.busy:
                    for _, instance in _instances(each.fleet):
                        self._check(each.name, each.fleet, instance)

    async def _measure(self, watched: list[Watched]) -> None:
        """Notes what instances use, and ends containers that hold more memory than their instance type has."""
        seen = [(each, *pair) for each in watched for pair in _instances(each.fleet)]
        found = await asyncio.to_thread(usages, [part.container for *_, item in seen for part in item.parts])
        now = time.monotonic()
        for each, variant, instance in seen:
            values = self._values(instance, found, now)
            if values:
                self._observe(each.fleet.region, each.dimensions(variant), values)
            if instance.house is not None and values.get("MemoryUtilization", (0.0, ""))[0] > _CROWDED_PERCENT:
                self._begin(instance.house.make_room())
        self._before = {container: (now, usage.cpu_s) for container, usage in found.items()}
        for container, usage in found.items():
            if is_over(container, usage.held_bytes):
                say_killed(container, usage.held_bytes)
                await asyncio.to_thread(container.kill)

    def _values(self, instance: Instance, found: dict[Container, Usage], now: float) -> Values:
        """CPUUtilization is a sum over cores, as on AWS: up to 100 each."""
        containers = [part.container for part in instance.parts if part.container in found]
        if not containers:
            return {}
        held = sum(found[each].held_bytes for each in containers)
        values: Values = {}
        if containers[0].spec.memory_bytes is not None:
            values["MemoryUtilization"] = (100.0 * held / containers[0].spec.memory_bytes, "Percent")
        since = [(found[each].cpu_s - self._before[each][1], now - self._before[each][0])
                 for each in containers if each in self._before]  # fmt: skip
        if since:
            values["CPUUtilization"] = (max(0.0, sum(100.0 * used / passed for used, passed in since)), "Percent")
        if instance.house is not None:
            values["LoadedModelCount"] = (float(len(instance.house)), "None")
        return values

    def _check(self, name: str, fleet: Fleet, instance: Instance) -> None:
        if instance.exit_code is None:
            self._begin(_ping(instance))
            if instance.failed_pings < _SILENT_PINGS:
                return
        LOG.warning(
            "%s: instance %s is gone (exit code %s, %s silent pings); a new one is started",
            name, instance.id, instance.exit_code, instance.failed_pings,
        )  # fmt: skip
        self._begin(_repair(name, fleet, instance))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _instances(fleet: Fleet) -> Iterator[tuple[str, Instance]]:
    """Each instance with its variant's name."""
    return ((name, instance) for name, variant in fleet.variants.items() for instance in list(variant.instances))


async def _repair(name: str, fleet: Fleet, instance: Instance) -> None:
    variant = next((item for item in fleet.variants.values() if instance in item.instances), None)
    if variant is None:
        return
    try:
        await fleet.replace(variant, instance)
    except LaunchFailed as error:
        LOG.warning("%s: %s", name, error)


async def _ping(instance: Instance) -> None:
    with suppress(asyncio.CancelledError):
        instance.failed_pings = 0 if await instance.ping() else instance.failed_pings + 1
