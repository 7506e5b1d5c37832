"""Moving an endpoint's traffic from the outgoing fleet to the incoming one, as its DeploymentConfig says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from penstock.rehearsal.fleet.fleet import Fleet
from penstock.rehearsal.fleet.launcher import LaunchFailed
from penstock.rehearsal.hosting.deployment import Rollout, rolling_batches, rollout_of
from penstock.rehearsal.hosting.endpoint import Endpoint, Variant
from penstock.rehearsal.hosting.states import shadow_variants
from penstock.rehearsal.traffic.router import Route, Router

_LOOK_SECONDS = 1.0


class Alarms(Protocol):
    """What says whether an alarm is in state ALARM right now."""

    def firing(self, region: str, names: tuple[str, ...]) -> str | None:
        """The name of the first alarm that fires, or None."""


class Rollouts:
    """Carries rollouts out; ``time_scale`` shortens what a config asks to wait."""

    def __init__(self, *, alarms: Alarms, time_scale: float) -> None:
        self._alarms = alarms
        self._time_scale = time_scale

    async def move(
        self, router: Router, endpoint: Endpoint, outgoing: Fleet, incoming: Fleet, *, phased: Callable[[str], None]
    ) -> None:
        """Returns once all traffic is with ``incoming`` and the baking is over. Raises LaunchFailed on an alarm."""
        pending = endpoint.pending
        assert pending is not None
        size = sum(variant.desired_instances for variant in pending.variants)
        rollout = rollout_of(pending.deployment, instances=size)
        for share in rollout.steps:
            phased("ActivatingTraffic")
            old = outgoing.routes(weights(endpoint.variants), share=1.0 - share) if share < 1.0 else []
            router.routes = incoming.routes(weights(pending.variants), share=share) + old
            phased("Baking")
            await self._bake(endpoint, rollout, rollout.bake_s)
        await self._bake(endpoint, rollout, rollout.termination_wait_s)

    async def roll(
        self, router: Router, endpoint: Endpoint, outgoing: Fleet, incoming: Fleet, *, phased: Callable[[str], None]
    ) -> None:
        """Batch by batch: so many incoming instances launched, baked, and as many outgoing ones retired.

        Raises LaunchFailed on an alarm or when a batch does not come up; what runs then goes on serving.
        """
        pending = endpoint.pending
        assert pending is not None
        after = {variant.name: variant.desired_instances for variant in pending.variants}
        before = {variant.name: variant.desired_instances for variant in endpoint.variants}
        rollout = rollout_of(pending.deployment, instances=sum(after.values()))
        await incoming.prepare()
        await incoming.resize({shadow.name: shadow.desired_instances for shadow in shadow_variants(incoming.plan)})
        remaining = before
        for launched, left in rolling_batches(before, after, rollout.batch or 1.0):
            phased("Creating")
            await incoming.resize(launched)
            phased("ActivatingTraffic")
            router.routes = _mixed(endpoint, outgoing, incoming, launched, remaining)
            phased("Baking")
            await self._bake(endpoint, rollout, rollout.bake_s)
            router.routes = _mixed(endpoint, outgoing, incoming, launched, left)
            await outgoing.resize(left)
            remaining = left

    async def _bake(self, endpoint: Endpoint, rollout: Rollout, seconds: float) -> None:
        """Waits, looking at the alarms all the while and once at the end."""
        deadline = asyncio.get_running_loop().time() + seconds * self._time_scale
        while True:
            await self._look(endpoint, rollout)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, _LOOK_SECONDS))

    async def _look(self, endpoint: Endpoint, rollout: Rollout) -> None:
        if not rollout.alarms:
            return
        name = await asyncio.to_thread(self._alarms.firing, endpoint.region, rollout.alarms)
        if name is not None:
            raise LaunchFailed(f"Alarm {name} was in state ALARM during the deployment; it was rolled back.")


def weights(variants: tuple[Variant, ...]) -> dict[str, float]:
    return {variant.name: variant.desired_weight for variant in variants}


def _mixed(
    endpoint: Endpoint, outgoing: Fleet, incoming: Fleet, launched: dict[str, int], left: dict[str, int]
) -> list[Route]:
    """Routes to both fleets; each variant's traffic is shared by how many instances either has of it."""
    assert endpoint.pending is not None
    shares = {name: count / ((count + left.get(name, 0)) or 1) for name, count in launched.items()}
    rest = {name: 1.0 - share for name, share in shares.items()}
    return [
        *incoming.routes(weights(endpoint.pending.variants), share=shares),
        *outgoing.routes(weights(endpoint.variants), share=rest),
    ]
