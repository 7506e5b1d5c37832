"""Which instance takes an invocation: variants by weight, instances by least outstanding requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from penstock.rehearsal.fleet.house import ModelHouse
from penstock.rehearsal.fleet.plan import FleetPlan, VariantPlan
from penstock.rehearsal.fleet.serverless import ServerlessPool
from penstock.rehearsal.traffic.upstream import Answer, Done, Headers


class Target(Protocol):
    """An instance as the router sees it."""

    id: str
    outstanding: int

    @property
    def house(self) -> ModelHouse | None:
        """The models of a multi-model container."""

    async def invoke(
        self,
        headers: Headers,
        body: bytes,
        *,
        timeout_s: float,
        path: str = "/invocations",
        hostname: str | None = None,
    ) -> Answer:
        """The answer. Raises UpstreamFailed, TimeoutError."""

    def start(self, headers: Headers, body: bytes, *, timeout_s: float, done: Done) -> bool:
        """Sends at once if that can be done, and calls ``done`` when the answer is here; says whether it did."""

    async def open(
        self, headers: Headers, body: bytes, *, timeout_s: float, hostname: str | None = None
    ) -> tuple[Answer, Callable[[], None]]:
        """The answer once its head is here, and what to call when its stream has been read."""


class Route:
    """A variant of one fleet: ``weight`` is its share of the endpoint's traffic, relative to the other routes'.

    ``instances`` is the fleet's own list: what it adds is routed to and what it takes out is not, at once. A serverless
    variant's ``pool`` starts one when it is needed. ``component`` names the inference component whose copies they are.
    """

    def __init__(
        self, plan: VariantPlan, fleet: FleetPlan, *, weight: float, instances: Sequence[Target] = (),
        pool: ServerlessPool | None = None, component: str | None = None,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.fleet = fleet
        self.weight = weight
        self.instances = instances
        self.pool = pool
        self.component = component
        self.credit = 0.0

    @property
    def scope(self) -> tuple[tuple[str, str], ...]:
        """The dimensions that its metrics have beside or instead of the endpoint's name."""
        return (("InferenceComponentName", self.component),) if self.component else ()

    def choose(self, model: str | None = None) -> Target | None:
        """The instance to take the next request; one that has ``model`` loaded, if there is one."""
        instances = self.instances
        if model is not None:
            instances = [each for each in instances if each.house and each.house.has(model)] or instances
        if not instances:
            return None
        if self.plan.routing == "RANDOM":
            return random.choice(instances)
        return min(instances, key=lambda instance: instance.outstanding)


class Router:
    """All routes of one endpoint. It lives on the event loop and needs no lock."""

    def __init__(self, region: str, endpoint: str) -> None:
        self.region = region
        self.endpoint = endpoint
        self.routes: list[Route] = []
        self.shadows: list[Route] = []
        self.components: dict[str, Route] = {}
        self.sessions: dict[str, str] = {}
        self.config: dict[str, Any] = {}

    def choose(self, variant: str | None = None) -> Route | None:
        """The next route by smooth weighted round robin, so that ten requests at 0.3 and 0.7 are three and seven.

        ``variant`` narrows the choice to the variant a caller named; None if nothing is left to choose from.
        """
        routes = [
            route for route in self.routes if (route.instances or route.pool) and variant in (None, route.plan.name)
        ]
        if len(routes) < 2:
            return routes[0] if routes else None
        total = sum(route.weight for route in routes)
        if total <= 0:
            return None if variant is None else routes[0]
        for route in routes:
            route.credit += route.weight
        best = max(routes, key=lambda route: route.credit)
        best.credit -= total
        return best

    @property
    def hosts_components(self) -> bool:
        """Whether the endpoint's variants have no models of their own."""
        return bool(self.routes) and self.routes[0].plan.hosts_components

    def knows(self, variant: str) -> bool:
        return any(route.plan.name == variant for route in self.routes)


class Routers:
    """The routers of all endpoints that serve, by region and name."""

    def __init__(self) -> None:
        self._routers: dict[tuple[str, str], Router] = {}

    def find(self, region: str | None, name: str) -> Router | None:
        """The router of an endpoint; an unsigned call names no region and finds the first endpoint of that name."""
        if region is not None:
            return self._routers.get((region, name))
        return next((router for (_, known), router in self._routers.items() if known == name), None)

    def all(self) -> list[Router]:
        return list(self._routers.values())

    def routes_of(self, region: str, component: str) -> list[Route]:
        """The routes of an inference component, which is on one endpoint only."""
        found = [router for (where, _), router in self._routers.items() if where == region]
        return [router.components[component] for router in found if component in router.components]

    def ensure(self, region: str, name: str) -> Router:
        return self._routers.setdefault((region, name), Router(region, name))

    def remove(self, region: str, name: str) -> None:
        self._routers.pop((region, name), None)
