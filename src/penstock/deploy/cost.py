"""What is running, and what it costs: by the hour, by the month, and since it was made."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from penstock.deploy.prices import HOURS_PER_MONTH, find_prices
from penstock.deploy.session import AwsSession
from penstock.deploy.status import EndpointStatus, list_endpoints
from penstock.ground.clock import SYSTEM_CLOCK, Clock


class EndpointCost(Struct, frozen=True, kw_only=True):
    """US dollars. ``so_far`` is at the present instances since the endpoint was made, an upper guess."""

    name: str
    instances: dict[str, int]
    per_hour: float
    per_month: float
    so_far: float
    expires: str
    priced: bool
    ours: bool


class CostReport(Struct, frozen=True, kw_only=True):
    region: str
    endpoints: tuple[EndpointCost, ...]
    per_hour: float
    per_month: float
    origins: tuple[str, ...]


def cost_report(aws: AwsSession, *, clock: Clock = SYSTEM_CLOCK) -> CostReport:
    """Every endpoint of the account and region, also those that others made, dearest first."""
    endpoints = list_endpoints(aws, ours_only=False)
    kinds = {variant.instance_type for one in endpoints for variant in one.variants} - {"serverless"}
    prices = find_prices(aws, kinds)
    per_type = {kind: price.per_hour for kind, price in prices.items()}
    costs = [_cost(one, per_type, clock.now_ms()) for one in endpoints]
    per_hour = round(sum(one.per_hour for one in costs), 6)
    return CostReport(
        region=aws.region,
        endpoints=tuple(sorted(costs, key=lambda one: -one.per_hour)),
        per_hour=per_hour,
        per_month=round(per_hour * HOURS_PER_MONTH, 2),
        origins=tuple(sorted({price.origin for price in prices.values()})),
    )


def _cost(endpoint: EndpointStatus, per_type: dict[str, float], now_ms: int) -> EndpointCost:
    instances: dict[str, int] = {}
    for variant in endpoint.variants:
        if variant.instance_type != "serverless":
            instances[variant.instance_type] = instances.get(variant.instance_type, 0) + variant.wanted_instances
    per_hour = round(sum(per_type.get(kind, 0.0) * count for kind, count in instances.items()), 6)
    hours = (now_ms / 1000 - datetime.fromisoformat(endpoint.created).timestamp()) / 3600
    return EndpointCost(
        name=endpoint.name,
        instances=instances,
        per_hour=per_hour,
        per_month=round(per_hour * HOURS_PER_MONTH, 2),
        so_far=round(per_hour * max(hours, 0.0), 4),
        expires=endpoint.expires,
        priced=all(kind in per_type for kind in instances),
        ours=endpoint.ours,
    )
