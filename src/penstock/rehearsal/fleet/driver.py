"""What brings each endpoint from the state it is in to the state it is to be in; it reads the journal and acts.

One task an endpoint, on the event loop. Every step is written to the journal before the next begins, so that a plane
killed at any point goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from msgspec.structs import replace

from penstock.ground.clock import Clock
from penstock.rehearsal.fleet.fleet import Fleet
from penstock.rehearsal.fleet.launcher import Launcher, LaunchFailed
from penstock.rehearsal.fleet.plan import FleetPlan
from penstock.rehearsal.fleet.rollout import Rollouts
from penstock.rehearsal.fleet.serverless import IDLE_SECONDS
from penstock.rehearsal.fleet.watch import Watched
from penstock.rehearsal.hosting import states
from penstock.rehearsal.hosting.endpoint import Endpoint, Status, Variant
from penstock.rehearsal.hosting.endpoints import KIND
from penstock.rehearsal.journal import Journal
from penstock.rehearsal.traffic.router import Routers

LOG = logging.getLogger("penstock.rehearsal")
_Key = tuple[str, str]


class Driver:
    """Drives all endpoints. ``wake`` is for other threads; everything else belongs to the event loop."""

    def __init__(
        self, *, journal: Journal, launcher: Launcher, routers: Routers, rollouts: Rollouts, clock: Clock,
        time_scale: float,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._launcher = launcher
        self._routers = routers
        self._rollouts = rollouts
        self._clock = clock
        self._idle_s = IDLE_SECONDS * time_scale
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        self._again: set[_Key] = set()
        self._fleets: dict[_Key, Fleet] = {}
        self._half_rolled: dict[_Key, Fleet] = {}

    def start(self) -> None:
        """Takes up every endpoint that the journal knows, where the last plane left it."""
        self._loop = asyncio.get_running_loop()
        for endpoint in self._journal.all(KIND, Endpoint):
            self._put(states.relaunching(endpoint, now_ms=self._clock.now_ms()))
            self._wake((endpoint.region, endpoint.name))

    async def stop(self) -> None:
        """Ends every instance; the journal keeps the endpoints for the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        fleets = [*self._fleets.values(), *self._half_rolled.values()]
        await asyncio.gather(*(fleet.dismantle() for fleet in fleets), return_exceptions=True)
        self._fleets.clear()
        self._half_rolled.clear()

    def wake(self, region: str, name: str) -> None:
        """Says, from any thread, that the endpoint's record has changed."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._wake, (region, name))

    def watched(self) -> Iterator[Watched]:
        """Every endpoint's fleet, with whether it is being changed just now."""
        for key, fleet in list(self._fleets.items()):
            yield Watched(name=key[1], scope=("EndpointName", key[1]), fleet=fleet, busy=key in self._tasks)

    def fleet(self, region: str, name: str) -> Fleet | None:
        return self._fleets.get((region, name))

    def _wake(self, key: _Key) -> None:
        if key in self._tasks:
            self._again.add(key)
            return
        task = asyncio.get_running_loop().create_task(self._drive(key))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._ended(key))

    def _ended(self, key: _Key) -> None:
        self._tasks.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self._wake(key)

    async def _drive(self, key: _Key) -> None:
        while endpoint := self._journal.find(KIND, *key, Endpoint):
            step = {
                Status.CREATING: self._launch,
                Status.SYSTEM_UPDATING: self._launch,
                Status.UPDATING: self._update,
                Status.ROLLING_BACK: self._roll_back,
                Status.DELETING: self._delete,
            }.get(endpoint.status)
            if step is None:
                return
            try:
                await step(key, endpoint)
            except LaunchFailed as error:
                LOG.warning("endpoint %s: %s", endpoint.name, error)
                self._put(states.failed(self._current(key), str(error), now_ms=self._clock.now_ms()))
            except Exception as error:  # a defect must not leave the endpoint in progress for ever
                LOG.exception("endpoint %s: the plane failed", endpoint.name)
                reason = (
                    f"Request to service failed. If failure persists after retry, contact customer support. {error}"
                )
                self._put(states.failed(self._current(key), reason, now_ms=self._clock.now_ms()))

    async def _launch(self, key: _Key, endpoint: Endpoint) -> None:
        fleet = await self._new_fleet(key, endpoint.plan, endpoint.variants)
        self._serve(key, fleet, endpoint.variants)
        self._put(self._served(endpoint, fleet, endpoint.variants))

    async def _update(self, key: _Key, endpoint: Endpoint) -> None:
        pending, outgoing = endpoint.pending, self._fleets.get(key)
        assert pending is not None
        if pending.in_place and outgoing is not None:
            outgoing.configure(pending.variants)
            await outgoing.resize({variant.name: variant.desired_instances for variant in pending.variants})
            fleet = outgoing
        elif outgoing is not None and pending.deployment and "RollingUpdatePolicy" in pending.deployment:
            fleet = await self._roll(key, endpoint, pending.plan, outgoing)
        else:
            fleet = await self._new_fleet(key, pending.plan, pending.variants)
            if outgoing is not None:
                await self._move(key, endpoint, outgoing, fleet)
        self._serve(key, fleet, pending.variants)
        self._put(self._served(endpoint, fleet, pending.variants))
        if outgoing is not None and outgoing is not fleet:
            await outgoing.dismantle()

    async def _roll(self, key: _Key, endpoint: Endpoint, plan: FleetPlan, outgoing: Fleet) -> Fleet:
        """The incoming fleet, come in batch by batch; after a failure both go on serving until it is rolled back."""
        incoming = self._half_rolled[key] = Fleet(plan, self._launcher, region=key[0], endpoint=key[1])
        await self._rollouts.roll(
            self._routers.ensure(*key), endpoint, outgoing, incoming, phased=lambda phase: self._phased(key, phase)
        )
        return self._half_rolled.pop(key)

    def _phased(self, key: _Key, phase: str) -> None:
        self._put(states.phased(self._current(key), phase, now_ms=self._clock.now_ms()))

    async def _move(self, key: _Key, endpoint: Endpoint, outgoing: Fleet, incoming: Fleet) -> None:
        """Shifts the traffic step by step; on an alarm the incoming fleet goes and LaunchFailed says which it was."""
        try:
            await self._rollouts.move(
                self._routers.ensure(*key), endpoint, outgoing, incoming, phased=lambda phase: self._phased(key, phase)
            )
        except BaseException:
            self._serve(key, outgoing, endpoint.variants)
            await incoming.dismantle()
            raise

    async def _roll_back(self, key: _Key, endpoint: Endpoint) -> None:
        fleet = self._fleets.get(key)
        if fleet is None:
            fleet = await self._new_fleet(key, endpoint.plan, endpoint.variants)
        else:
            await fleet.resize({variant.name: variant.desired_instances for variant in endpoint.variants})
        self._serve(key, fleet, endpoint.variants)
        incoming = self._half_rolled.pop(key, None)
        if incoming is not None:
            await incoming.dismantle()
        self._put(states.rolled_back(endpoint, fleet.described(endpoint.variants), now_ms=self._clock.now_ms()))

    async def _delete(self, key: _Key, endpoint: Endpoint) -> None:
        self._routers.remove(*key)
        fleet = self._fleets.pop(key, None)
        if fleet is not None:
            await fleet.dismantle()
        self._journal.remove(KIND, *key)

    async def _new_fleet(self, key: _Key, plan: FleetPlan, variants: tuple[Variant, ...]) -> Fleet:
        fleet = Fleet(plan, self._launcher, region=key[0], endpoint=key[1], idle_s=self._idle_s)
        fleet.configure(variants)
        counts = {variant.name: variant.desired_instances for variant in variants}
        counts |= {shadow.name: shadow.desired_instances for shadow in states.shadow_variants(plan)}
        await fleet.launch(counts)
        return fleet

    def _serve(self, key: _Key, fleet: Fleet, variants: tuple[Variant, ...]) -> None:
        """Makes ``fleet`` the endpoint's one fleet."""
        router = self._routers.ensure(*key)
        router.routes = fleet.routes({variant.name: variant.desired_weight for variant in variants})
        router.shadows = fleet.shadow_routes()
        router.config = fleet.plan.config
        self._fleets[key] = fleet

    def _served(self, endpoint: Endpoint, fleet: Fleet, variants: tuple[Variant, ...]) -> Endpoint:
        """The endpoint as it is once ``fleet`` serves it."""
        shadows = fleet.described(states.shadow_variants(fleet.plan))
        return states.served(endpoint, fleet.described(variants), now_ms=self._clock.now_ms(), shadows=shadows)

    def _current(self, key: _Key) -> Endpoint:
        endpoint = self._journal.find(KIND, *key, Endpoint)
        assert endpoint is not None
        return endpoint

    def _put(self, endpoint: Endpoint) -> None:
        """Writes the record, with the tags that were added while it was on its way."""
        with self._journal.transaction():
            current = self._journal.find(KIND, endpoint.region, endpoint.name, Endpoint)
            self._journal.put(KIND, replace(endpoint, tags=current.tags) if current else endpoint)
