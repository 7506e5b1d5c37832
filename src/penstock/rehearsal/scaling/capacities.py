"""The capacities that can be scaled, read from and written to hosting's own records."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from penstock.rehearsal.hosting import components, endpoints
from penstock.rehearsal.hosting.component import BUSY, KIND, Component
from penstock.rehearsal.hosting.endpoint import Endpoint, Status, Variant, variant_named
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.scaling.records import COPIES, INSTANCES, PROVISIONED, component_of, variant_of
from penstock.rehearsal.wire.exceptions import AwsError


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """``current`` runs, ``desired`` is asked for, and nothing can be changed while ``busy``; ``least`` AWS allows."""

    current: int
    desired: int
    busy: bool
    least: int = 1


class Capacities:
    """Reads and changes capacities by the resource's id and its scalable dimension."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._readers: dict[str, Callable[[str, str], Capacity | None]] = {
            INSTANCES: self._instances,
            PROVISIONED: self._provisioned,
            COPIES: self._copies,
        }

    def read(self, region: str, resource: str, dimension: str) -> Capacity | None:
        """The capacity, or None for a resource that does not exist or does not have that dimension."""
        reader = self._readers.get(dimension)
        return reader(region, resource) if reader else None

    def write(self, region: str, resource: str, dimension: str, wanted: int, *, now_ms: int) -> str | None:
        """Asks for the capacity; why that was refused, or None when it is on its way."""
        found, component = variant_of(resource), component_of(resource)
        try:
            if component is not None:
                components.resize_component(self._hosting, region, component, wanted, now_ms=now_ms)
                return None
            endpoint, variant = found or ("", "")
            endpoints.resize_variant(
                self._hosting, region, endpoint, variant, wanted, provisioned=dimension == PROVISIONED, now_ms=now_ms
            )
        except AwsError as error:
            return error.message
        return None

    def _instances(self, region: str, resource: str) -> Capacity | None:
        found = self._variant(region, resource)
        if found is None or found[1].serverless is not None:
            return None
        endpoint, variant = found
        least = 0 if endpoint.plan.config.get("AsyncInferenceConfig") else 1
        return Capacity(
            current=variant.instances, desired=variant.desired_instances, busy=_is_busy(endpoint), least=least
        )

    def _provisioned(self, region: str, resource: str) -> Capacity | None:
        found = self._variant(region, resource)
        if found is None or found[1].serverless is None:
            return None
        endpoint, variant = found
        count = (variant.serverless or {}).get("ProvisionedConcurrency", 0)
        return Capacity(current=count, desired=count, busy=_is_busy(endpoint))

    def _copies(self, region: str, resource: str) -> Capacity | None:
        name = component_of(resource)
        found = self._hosting.journal.find(KIND, region, name, Component) if name else None
        if found is None:
            return None
        return Capacity(current=found.current, desired=found.copies, busy=found.status in BUSY, least=0)

    def _variant(self, region: str, resource: str) -> tuple[Endpoint, Variant] | None:
        names = variant_of(resource)
        endpoint = self._hosting.journal.find(endpoints.KIND, region, names[0], Endpoint) if names else None
        variant = variant_named(endpoint.variants, names[1]) if endpoint and names else None
        return (endpoint, variant) if endpoint and variant else None


def _is_busy(endpoint: Endpoint) -> bool:
    return endpoint.status is not Status.IN_SERVICE
