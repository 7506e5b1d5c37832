"""What brings each inference component to the state it is to be in: its copies launched, changed, ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from msgspec.structs import replace

from penstock.ground.clock import Clock
from penstock.rehearsal.fleet.fleet import Fleet
from penstock.rehearsal.fleet.launcher import Launcher, LaunchFailed
from penstock.rehearsal.fleet.plan import FleetPlan
from penstock.rehearsal.fleet.watch import Watched
from penstock.rehearsal.hosting import component as states
from penstock.rehearsal.hosting.component import CREATING, DELETING, IN_SERVICE, KIND, UPDATING, Component
from penstock.rehearsal.hosting.endpoint import DeployedImage, Endpoint
from penstock.rehearsal.journal import Journal
from penstock.rehearsal.logs import component_group
from penstock.rehearsal.traffic.router import Route, Routers

LOG = logging.getLogger("penstock.rehearsal")
_Key = tuple[str, str]


class ComponentDriver:
    """Drives all inference components. ``wake`` is for other threads; everything else belongs to the event loop."""

    def __init__(self, *, journal: Journal, launcher: Launcher, routers: Routers, clock: Clock) -> None:
        self._journal = journal
        self._launcher = launcher
        self._routers = routers
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        self._fleets: dict[_Key, Fleet] = {}
        self._stopping = False

    def start(self) -> None:
        """Takes up every component that the journal knows: what served is launched again."""
        self._loop = asyncio.get_running_loop()
        for component in self._journal.all(KIND, Component):
            if component.status == IN_SERVICE:
                self._journal.put(KIND, replace(component, status=UPDATING, modified_ms=self._clock.now_ms()))
            self._wake((component.region, component.name))

    async def stop(self) -> None:
        self._stopping = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*(fleet.dismantle() for fleet in self._fleets.values()), return_exceptions=True)
        self._fleets.clear()

    def wake(self, region: str, name: str) -> None:
        """Says, from any thread, that the component's record has changed."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._wake, (region, name))

    def watched(self) -> Iterator[Watched]:
        """Every component's fleet, with whether it is being changed just now."""
        for key, fleet in list(self._fleets.items()):
            scope = ("InferenceComponentName", key[1])
            yield Watched(name=key[1], scope=scope, fleet=fleet, busy=key in self._tasks)

    def _wake(self, key: _Key) -> None:
        if self._stopping:
            return
        running = self._tasks.get(key)
        if running is not None:
            running.add_done_callback(lambda _: self._wake(key))
            return
        task = asyncio.get_running_loop().create_task(self._drive(key))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _drive(self, key: _Key) -> None:
        while component := self._journal.find(KIND, *key, Component):
            if component.status == DELETING:
                await self._delete(key, component)
            elif component.status in (CREATING, UPDATING):
                await self._bring(key, component)
            else:
                return

    async def _bring(self, key: _Key, component: Component) -> None:
        try:
            self._check_room(component)
            images = await self._run(key, component)
            done = states.served(component, images, now_ms=self._clock.now_ms())
        except LaunchFailed as error:
            LOG.warning("inference component %s: %s", component.name, error)
            done = states.failed(component, str(error), now_ms=self._clock.now_ms())
        except Exception as error:  # a defect must not leave the component in progress for ever
            LOG.exception("inference component %s: the plane failed", component.name)
            done = states.failed(component, f"Request to service failed. {error}", now_ms=self._clock.now_ms())
        self._put(done)

    def _put(self, component: Component) -> None:
        """Writes the record, with the tags that were added while it was on its way."""
        with self._journal.transaction():
            current = self._journal.find(KIND, component.region, component.name, Component)
            self._journal.put(KIND, replace(component, tags=current.tags) if current else component)

    async def _run(self, key: _Key, component: Component) -> tuple[DeployedImage, ...]:
        """Makes the copies be what is wanted; the images they run."""
        counts = {component.variant: component.copies}
        outgoing = self._fleets.get(key)
        if outgoing is not None and component.wanted_plan is None:
            await outgoing.resize(counts)
            return outgoing.images(component.variant)
        fleet = self._new_fleet(component, component.wanted_plan or component.plan)
        await fleet.launch(counts)
        self._fleets[key] = fleet
        router = self._routers.ensure(component.region, component.endpoint)
        router.components[component.name] = Route(
            fleet.plan.variants[0], fleet.plan, weight=1.0, instances=fleet.variants[component.variant].instances,
            component=component.name,
        )  # fmt: skip
        if outgoing is not None:
            await outgoing.dismantle()
        return fleet.images(component.variant)

    async def _delete(self, key: _Key, component: Component) -> None:
        router = self._routers.find(component.region, component.endpoint)
        if router is not None:
            router.components.pop(component.name, None)
        fleet = self._fleets.pop(key, None)
        if fleet is not None:
            await fleet.dismantle()
        self._journal.remove(KIND, *key)

    def _new_fleet(self, component: Component, plan: FleetPlan) -> Fleet:
        return Fleet(
            plan, self._launcher, region=component.region, endpoint=component.variant,
            group=component_group(component.name),
        )  # fmt: skip

    def _check_room(self, component: Component) -> None:
        """Raises LaunchFailed if the endpoint's instances cannot hold the copies beside its other components."""
        endpoint = self._journal.find("endpoint", component.region, component.endpoint, Endpoint)
        if endpoint is None:
            raise LaunchFailed(f"The endpoint {component.endpoint} is gone.")
        variant = next(each for each in endpoint.variants if each.name == component.variant)
        plan = next(each for each in endpoint.plan.variants if each.name == component.variant)
        others = [
            each for each in self._journal.all(KIND, Component, region=component.region)
            if (each.endpoint, each.variant) == (component.endpoint, component.variant)
            and each.name != component.name and each.status not in (states.FAILED, DELETING)
        ]  # fmt: skip
        lack = states.lacking([component, *others], plan.instance_type or "", variant.desired_instances)
        if lack is not None:
            raise LaunchFailed(
                f"Failed to place the copies of {component.name} on the instances of {component.endpoint}: {lack}."
            )
