"""Endpoints' operations: Create, Describe, List, Update, UpdateEndpointWeightsAndCapacities, Delete."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.fleet.plan import FleetPlan, plan_fleet
from penstock.rehearsal.hosting import states
from penstock.rehearsal.hosting.deployment import check_deployment
from penstock.rehearsal.hosting.endpoint import Endpoint, Pending, Variant, describe, row, variant_named
from penstock.rehearsal.hosting.endpoint_config import EndpointConfig, get_config
from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.model import get_model
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import invalid, missing, taken

KIND = "endpoint"


def create_endpoint(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    arn = sagemaker_arn(KIND, request["EndpointName"], region=call.region, account=call.account)
    with hosting.journal.transaction():
        if hosting.journal.find(KIND, call.region, request["EndpointName"], Endpoint):
            raise taken("endpoint", arn)
        config = get_config(hosting, call, request["EndpointConfigName"])
        endpoint = states.created(
            request["EndpointName"], arn=arn, region=call.region, plan=_plan(hosting, call, config),
            tags=tag_map(request.get("Tags", [])), now_ms=call.now_ms,
        )  # fmt: skip
        hosting.journal.put(KIND, endpoint)
    hosting.wake(call.region, endpoint.name)
    return {"EndpointArn": arn}


def describe_endpoint(hosting: Hosting, call: Call) -> dict[str, Any]:
    return describe(get_endpoint(hosting, call))


def list_endpoints(hosting: Hosting, call: Call) -> dict[str, Any]:
    return list_page(
        hosting.journal.all(KIND, Endpoint, region=call.region),
        call.parameters,
        row=row,
        answer="Endpoints",
        modified_ms=lambda endpoint: int(endpoint.modified_ms),
        status=lambda endpoint: str(endpoint.status),
    )


def update_endpoint(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    with hosting.journal.transaction():
        endpoint = get_endpoint(hosting, call)
        states.require_idle(endpoint)
        config = get_config(hosting, call, request["EndpointConfigName"])
        plan = _plan(hosting, call, config)
        deployment = request.get("DeploymentConfig")
        if deployment is None and request.get("RetainDeploymentConfig"):
            deployment = endpoint.last_deployment
        check_deployment(deployment)
        pending = Pending(
            config_name=config.name, plan=plan, variants=_incoming(endpoint, plan, request), started_ms=call.now_ms,
            deployment=deployment,
        )  # fmt: skip
        hosting.journal.put(KIND, states.update_requested(endpoint, pending, now_ms=call.now_ms))
    hosting.wake(call.region, endpoint.name)
    return {"EndpointArn": endpoint.arn}


def update_endpoint_weights_and_capacities(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        endpoint = get_endpoint(hosting, call)
        states.require_idle(endpoint)
        variants = endpoint.variants
        for wish in call.parameters["DesiredWeightsAndCapacities"]:
            variants = _with_wish(variants, wish, endpoint)
        pending = Pending(
            config_name=endpoint.config_name, plan=endpoint.plan, variants=variants, started_ms=call.now_ms,
            in_place=True,
        )  # fmt: skip
        hosting.journal.put(KIND, states.update_requested(endpoint, pending, now_ms=call.now_ms))
    hosting.wake(call.region, endpoint.name)
    return {"EndpointArn": endpoint.arn}


def delete_endpoint(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        endpoint = get_endpoint(hosting, call)
        hosting.journal.put(KIND, states.delete_requested(endpoint, now_ms=call.now_ms))
    hosting.wake(call.region, endpoint.name)
    return {}


def get_endpoint(hosting: Hosting, call: Call) -> Endpoint:
    name = call.parameters["EndpointName"]
    endpoint = hosting.journal.find(KIND, call.region, name, Endpoint)
    if endpoint is None:
        raise missing("endpoint", sagemaker_arn(KIND, name, region=call.region, account=call.account))
    return endpoint


def _plan(hosting: Hosting, call: Call, config: EndpointConfig) -> FleetPlan:
    """What the config and its models ask for right now. Raises AwsError if a model has been deleted."""
    variants = config.request["ProductionVariants"] + config.request.get("ShadowProductionVariants", [])
    names = {variant["ModelName"] for variant in variants}
    return plan_fleet(config.request, {name: get_model(hosting, call, name).request for name in names})


def _incoming(endpoint: Endpoint, plan: FleetPlan, request: dict[str, Any]) -> tuple[Variant, ...]:
    """The new config's variants; with RetainAllVariantProperties they keep the weights and counts in force."""
    variants = states.initial_variants(plan)
    if not request.get("RetainAllVariantProperties"):
        return variants
    excluded = {item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])}
    return tuple(_retained(variant, variant_named(endpoint.variants, variant.name), excluded) for variant in variants)


def _retained(variant: Variant, before: Variant | None, excluded: set[str]) -> Variant:
    if before is None:
        return variant
    if "DesiredWeight" not in excluded:
        variant = replace(variant, weight=before.desired_weight, desired_weight=before.desired_weight)
    if "DesiredInstanceCount" not in excluded:
        variant = replace(variant, desired_instances=before.desired_instances)
    return variant


def _with_wish(variants: tuple[Variant, ...], wish: dict[str, Any], endpoint: Endpoint) -> tuple[Variant, ...]:
    name = wish["VariantName"]
    variant = variant_named(variants, name)
    if variant is None:
        raise invalid(f'The variant name "{name}" was not found in endpoint "{endpoint.arn}".')
    if variant.serverless is not None and "DesiredInstanceCount" in wish:
        raise invalid(f'The variant "{name}" is serverless and has no instances.')
    if wish.get("DesiredInstanceCount") == 0:
        raise invalid(f'The variant "{name}" needs at least one instance.')
    changed = replace(
        variant,
        desired_weight=wish.get("DesiredWeight", variant.desired_weight),
        desired_instances=wish.get("DesiredInstanceCount", variant.desired_instances),
    )
    return tuple(changed if item.name == name else item for item in variants)
