"""A fleet: the running variants of one endpoint config, and how they are reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.fleet.instance import Instance
from penstock.rehearsal.fleet.launcher import Launched, Launcher
from penstock.rehearsal.fleet.plan import FleetPlan, VariantPlan
from penstock.rehearsal.fleet.serverless import IDLE_SECONDS, ServerlessPool
from penstock.rehearsal.fleet.waiting import until
from penstock.rehearsal.hosting.endpoint import DeployedImage, Variant
from penstock.rehearsal.logs import endpoint_group
from penstock.rehearsal.traffic.router import Route

_DRAIN_SECONDS = 60.0


class RunningVariant:
    """A variant's instances. ``launched`` is None until its image and model are ready; ``pool`` where serverless."""

    def __init__(self, plan: VariantPlan) -> None:
        self.plan = plan
        self.launched: Launched | None = None
        self.instances: list[Instance] = []
        self.pool: ServerlessPool | None = None


class Fleet:
    """Launches, resizes and ends the instances of one plan. It lives on the event loop."""

    def __init__(
        self, plan: FleetPlan, launcher: Launcher, *, region: str, endpoint: str, group: str | None = None,
        idle_s: float = IDLE_SECONDS,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.variants = {variant.name: RunningVariant(variant) for variant in (*plan.variants, *plan.shadows)}
        self._launcher = launcher
        self.region = region
        self._group = group or endpoint_group(endpoint)
        self._stream = f"{endpoint}/" if group else ""
        for variant in self.variants.values():
            if variant.plan.serverless is not None:
                variant.pool = self._pool(variant, variant.plan.serverless, idle_s)

    def _pool(self, variant: RunningVariant, config: dict[str, Any], idle_s: float) -> ServerlessPool:
        return ServerlessPool(
            config, variant.instances, start=lambda: self._add(variant), stop=self._launcher.stop, idle_s=idle_s
        )

    def configure(self, variants: Iterable[Variant]) -> None:
        """Takes over what the endpoint's serverless variants may do now, which an update can have changed."""
        for variant in variants:
            pool = self.variants[variant.name].pool
            if pool is not None and variant.serverless is not None:
                pool.config = variant.serverless

    def reap(self) -> None:
        """Ends serverless containers that have long been idle."""
        for variant in self.variants.values():
            if variant.pool is not None:
                variant.pool.reap()

    async def launch(self, counts: dict[str, int]) -> None:
        """Starts ``counts[variant]`` instances of each variant at once. Raises LaunchFailed; nothing is left then."""
        try:
            await self.prepare()
            await self.resize(counts)
        except BaseException:
            await asyncio.shield(self.dismantle())
            raise

    async def prepare(self) -> None:
        """Makes images and models ready, with no instance started yet. Raises LaunchFailed."""
        await _all(self._prepare(variant) for variant in self.variants.values())

    async def resize(self, counts: dict[str, int]) -> None:
        """Brings each variant to its count: new instances are healthy, surplus ones drained, when it returns."""
        await _all(self._resize(self.variants[name], count) for name, count in counts.items())

    async def dismantle(self) -> None:
        """Ends every instance and removes what they shared."""
        pools = [variant.pool for variant in self.variants.values() if variant.pool is not None]
        await asyncio.gather(*(pool.close() for pool in pools))
        await _all(self.retire(instance) for variant in self.variants.values() for instance in list(variant.instances))
        for variant in self.variants.values():
            variant.instances.clear()
            if variant.launched is not None:
                await asyncio.to_thread(self._launcher.forget, variant.launched)
                variant.launched = None

    async def replace(self, variant: RunningVariant, instance: Instance) -> None:
        """A new instance in the place of one that died or went silent. Raises LaunchFailed."""
        variant.instances.remove(instance)
        await self._launcher.stop(instance)
        if variant.pool is None:
            await self._add(variant)
        else:
            await variant.pool.provision()  # others come when a request needs them

    async def retire(self, instance: Instance) -> None:
        """Lets the instance finish what it has, for up to the 60 s of an invocation, then ends it."""
        await until(lambda: not instance.outstanding, seconds=_DRAIN_SECONDS)
        await self._launcher.stop(instance)

    def routes(self, weights: dict[str, float], *, share: float | dict[str, float] = 1.0) -> list[Route]:
        """The routes to this fleet, which takes ``share`` of the endpoint's traffic, or of each variant's."""
        total = sum(weights.values()) or 1.0
        shares = share if isinstance(share, dict) else dict.fromkeys(weights, share)
        return [
            Route(
                plan, self.plan, weight=shares[plan.name] * weights[plan.name] / total,
                instances=self.variants[plan.name].instances, pool=self.variants[plan.name].pool,
            )
            for plan in self.plan.variants
        ]  # fmt: skip

    def shadow_routes(self) -> list[Route]:
        config = {item["VariantName"]: item for item in self.plan.config.get("ShadowProductionVariants", [])}
        return [
            Route(
                plan, self.plan, weight=config[plan.name].get("InitialVariantWeight", 1.0),
                instances=self.variants[plan.name].instances,
            )
            for plan in self.plan.shadows
        ]  # fmt: skip

    def images(self, variant: str) -> tuple[DeployedImage, ...]:
        """The images that a variant runs, one a container."""
        launched = self.variants[variant].launched
        return tuple(part.deployed for part in launched.parts) if launched else ()

    def described(self, variants: Iterable[Variant]) -> tuple[Variant, ...]:
        """``variants`` with the images and counts that really run."""
        return tuple(self._described(variant) for variant in variants)

    def _described(self, variant: Variant) -> Variant:
        running = self.variants[variant.name]
        count = variant.desired_instances if running.plan.hosts_components else len(running.instances)
        return replace(variant, images=self.images(variant.name), instances=count)

    async def _prepare(self, variant: RunningVariant) -> None:
        if variant.launched is None and not variant.plan.hosts_components:
            variant.launched = await self._launcher.prepare(variant.plan)

    async def _resize(self, variant: RunningVariant, count: int) -> None:
        if variant.plan.hosts_components:
            return  # its instances run what components bring
        if variant.pool is not None and count:
            if not variant.instances:
                await self._add(variant)  # the first one proves that the container starts at all
            await variant.pool.provision()
            return
        surplus = variant.instances[count:]
        del variant.instances[count:]
        await _all(self._add(variant) for _ in range(count - len(variant.instances)))
        await _all(self.retire(instance) for instance in surplus)

    async def _add(self, variant: RunningVariant) -> Instance:
        assert variant.launched is not None
        instance = await self._launcher.start(
            variant.plan,
            variant.launched,
            region=self.region,
            group=self._group,
            stream=self._stream or f"{variant.plan.name}/",
        )
        variant.instances.append(instance)
        return instance


async def _all(work: Iterable[Awaitable[object]]) -> None:
    """Waits for all of ``work``; if one fails the others are ended first, then its error is raised as it is."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
