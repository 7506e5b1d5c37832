"""How much a scaled resource has to do, from the metrics' counters and the routers."""

from __future__ import annotations

from penstock.rehearsal.metrics import Metrics
from penstock.rehearsal.scaling.records import component_of, dimensions_of, variant_of
from penstock.rehearsal.traffic.router import Route, Routers


class PlaneTraffic:
    """The plane's own traffic, by the scaled resource's id."""

    def __init__(self, metrics: Metrics, routers: Routers) -> None:
        self._metrics = metrics
        self._routers = routers

    def invocations(self, region: str, resource: str) -> int:
        """All invocations so far."""
        return self._metrics.invocations(region, dimensions_of(resource))

    def outstanding(self, region: str, resource: str) -> int:
        """Requests under way now."""
        return sum(instance.outstanding for route in self._routes(region, resource) for instance in route.instances)

    def _routes(self, region: str, resource: str) -> list[Route]:
        names, component = variant_of(resource), component_of(resource)
        if component is not None:
            return self._routers.routes_of(region, component)
        router = self._routers.find(region, names[0]) if names else None
        return [route for route in router.routes if names and route.plan.name == names[1]] if router else []
