"""Steering a live endpoint: shifting traffic, promoting a variant, going back, and what served when."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.deploy.discover import own_configs, tags_of
from penstock.deploy.hosting import update_endpoint
from penstock.deploy.kinds import Making
from penstock.deploy.ledger import Entry, Event, Ledger
from penstock.deploy.resources import DEPLOYMENT_TAG, MODEL_TAG, VERSION_TAG, tag_list
from penstock.deploy.status import iso_of_ms
from penstock.deploy.wait import wait_in_service
from penstock.ground.errors import InvalidInput, NotFound
from penstock.ground.names import near


class Served(Struct, frozen=True, kw_only=True):
    """One line of a deployment's history; ``at`` is ISO 8601 in UTC, ``event`` is served, failed or deleted."""

    at: str
    event: str
    config_name: str = ""
    model_uri: str = ""
    model_version: str = ""
    models: dict[str, str] = {}
    images: dict[str, str] = {}
    by: str = ""
    error: str = ""


def shift_traffic(making: Making, name: str, weights: dict[str, float], ledger: Ledger) -> dict[str, float]:
    """Gives the variants these weights, leaves the others as they are, and returns all weights once they hold.

    Source: UpdateEndpointWeightsAndCapacities. Raises InvalidInput for a variant that the endpoint does not have.
    """
    known = _weights(_describe(making, name))
    for variant, weight in weights.items():
        if variant not in known:
            raise InvalidInput(f"{name!r} has no variant {variant!r}.{near(variant, list(known))}", fix="Correct it.")
        if weight < 0:
            raise InvalidInput(f"The weight {weight} of {variant!r} is below 0.", fix="Give 0 or more.")
    wanted = {**known, **weights}
    if not any(wanted.values()):
        raise InvalidInput("No variant would get any traffic.", fix="Give one a weight above 0.")
    if wanted != known:
        body = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in wanted.items()]
        update_endpoint(making, name, {"DesiredWeightsAndCapacities": body})
        found = wait_in_service(making, name)
        _record(making, name, ledger, found, weights=wanted)
        return _weights(found)
    return known


def promote(making: Making, name: str, variant: str, ledger: Ledger) -> dict[str, float]:
    """Gives all traffic to one variant."""
    others = dict.fromkeys(_weights(_describe(making, name)), 0.0)
    if variant not in others:
        raise InvalidInput(f"{name!r} has no variant {variant!r}.{near(variant, list(others))}", fix="Correct it.")
    return shift_traffic(making, name, {**others, variant: 1.0}, ledger)


def roll_back(making: Making, name: str, ledger: Ledger, *, to: str | None = None) -> str:
    """Moves the endpoint to the config it served before, or to the one named ``to``; gives that config's name.

    Raises NotFound when there is none to go back to.
    """
    current = str(_describe(making, name)["EndpointConfigName"])
    there = [config for config in own_configs(name, making.aws) if config != current]
    served = [
        str(entry.detail.get("config")) for entry in reversed(ledger.history(name)) if entry.event is Event.SERVED
    ]
    candidates = [config for config in served if config in there] or there
    target = to or next(iter(candidates), None)
    if target is None or (to is not None and to not in there):
        known = f" There are: {', '.join(there)}." if there else ""
        raise NotFound(
            f"{name!r} has no former config {to or ''} to go back to.{known}", fix="Deploy the model you want."
        )
    update_endpoint(making, name, {"EndpointConfigName": target, "RetainAllVariantProperties": True})
    found = wait_in_service(making, name, config_name=target)
    tags = _told_model(making, target)
    making.aws.call("sagemaker", "add_tags", ResourceArn=found["EndpointArn"], Tags=tag_list(tags))
    _record(making, name, ledger, found, rolled_back_from=current, tags=tags)
    return target


def record_served(making: Making, name: str, ledger: Ledger) -> None:
    """Writes down that what the endpoint serves now is good: for a deploy that nobody waited for."""
    found = _describe(making, name)
    _record(making, name, ledger, found, tags=_told_model(making, found["EndpointConfigName"]))


def history(name: str, ledger: Ledger) -> tuple[Served, ...]:
    """What served when, newest first, as this machine's ledger knows it."""
    return tuple(_served(entry) for entry in reversed(ledger.history(name)))


def _served(entry: Entry) -> Served:
    detail = entry.detail
    tags: dict[str, str] = detail.get("tags", {})
    return Served(
        at=iso_of_ms(str(entry.at_ms)),
        event=entry.event.value,
        config_name=detail.get("config", ""),
        model_uri=tags.get(MODEL_TAG, ""),
        model_version=tags.get(VERSION_TAG, ""),
        models={key.partition("/")[2]: uri for key, uri in tags.items() if key.startswith(f"{MODEL_TAG}/")},
        images=detail.get("images", {}),
        by=detail.get("by", ""),
        error=detail.get("message", ""),
    )


def _describe(making: Making, name: str) -> dict[str, Any]:
    return making.aws.call("sagemaker", "describe_endpoint", EndpointName=name)


def _told_model(making: Making, config: str) -> dict[str, str]:
    """The tags of a config that say which model it serves: they go where the endpoint goes."""
    body = making.aws.call("sagemaker", "describe_endpoint_config", EndpointConfigName=config)
    tags = tags_of(making.aws, body["EndpointConfigArn"])
    return {
        DEPLOYMENT_TAG: making.deployment,
        **{key: value for key, value in tags.items() if key.startswith(MODEL_TAG)},
    }


def _weights(found: dict[str, Any]) -> dict[str, float]:
    return {one["VariantName"]: float(one.get("CurrentWeight", 1.0)) for one in found.get("ProductionVariants", [])}


def _record(making: Making, name: str, ledger: Ledger, found: dict[str, Any], **detail: Any) -> None:
    images = {
        one["VariantName"]: image["ResolvedImage"]
        for one in found.get("ProductionVariants", [])
        for image in one.get("DeployedImages", [])
    }
    who = making.aws.identity["Arn"]
    ledger.record(name, Event.SERVED, config=found["EndpointConfigName"], images=images, by=who, **detail)
