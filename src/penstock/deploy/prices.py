"""What instances cost by the hour: AWS's price list when it can be reached, else a dated table that we ship."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

from penstock.deploy.session import AwsSession
from penstock.ground.errors import PenstockError

HOURS_PER_MONTH = 730


class Price(Struct, frozen=True, kw_only=True):
    """US dollars per instance and hour, and where the figure is from."""

    per_hour: float
    origin: str


class Cost(Struct, frozen=True, kw_only=True):
    """A sum over instances. ``unknown`` lists the types that nobody has a price for; serverless has no hourly price."""

    per_hour: float = 0.0
    origins: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def per_month(self) -> float:
        """Dollars for 730 hours: nothing is ever stopped, an endpoint is paid for until it is deleted."""
        return self.per_hour * HOURS_PER_MONTH


def find_prices(aws: AwsSession, instance_types: Iterable[str]) -> dict[str, Price]:
    """The prices known for these types in the session's region."""
    found = {kind: _listed(aws, kind) or find_shipped(kind) for kind in sorted(set(instance_types))}
    return {kind: price for kind, price in found.items() if price is not None}


def find_shipped(instance_type: str) -> Price | None:
    """The price in the shipped table."""
    table = _shipped()
    amount = table["per_hour"].get(instance_type)
    origin = f"table of {table['as_of']} for {table['region']}, approximate"
    return None if amount is None else Price(per_hour=amount, origin=origin)


def sum_cost(variants: Iterable[Mapping[str, Any]], prices: Mapping[str, Price]) -> Cost:
    """The cost of an endpoint config's variants at their initial instance counts. Pure."""
    per_hour, origins, unknown = 0.0, set[str](), set[str]()
    for variant in variants:
        kind = variant.get("InstanceType")
        if kind is None:
            continue
        price = prices.get(kind)
        if price is None:
            unknown.add(kind)
            continue
        per_hour += price.per_hour * variant.get("InitialInstanceCount", 1)
        origins.add(price.origin)
    return Cost(per_hour=round(per_hour, 6), origins=tuple(sorted(origins)), unknown=tuple(sorted(unknown)))


def _listed(aws: AwsSession, instance_type: str) -> Price | None:
    """The price list's own figure; None when it cannot be asked or has none. Source: Pricing GetProducts."""
    filters = {"instanceName": instance_type, "regionCode": aws.region, "component": "Hosting"}
    terms = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()]
    try:
        found = aws.call("pricing", "get_products", ServiceCode="AmazonSageMaker", Filters=terms, MaxResults=5)
    except PenstockError:
        return None  # The shipped table answers instead, and its origin says so.
    amounts = [amount for text in found.get("PriceList", []) for amount in _amounts(json.loads(text))]
    return Price(per_hour=min(amounts), origin="AWS price list") if amounts else None


def _amounts(product: dict[str, Any]) -> list[float]:
    terms = product.get("terms", {}).get("OnDemand", {}).values()
    dimensions = [dimension for term in terms for dimension in term.get("priceDimensions", {}).values()]
    return [float(one["pricePerUnit"]["USD"]) for one in dimensions if float(one["pricePerUnit"].get("USD", 0)) > 0]


@cache
def _shipped() -> dict[str, Any]:
    return tomllib.loads(files("penstock.deploy").joinpath("prices.toml").read_text(encoding="utf-8"))
