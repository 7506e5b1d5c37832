"""Endpoints' operations: Create, Describe, List, Update, UpdateEndpointWeightsAndCapacities, Delete."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.fleet.plan import FleetPlan, plan_fleet
from penstock.rehearsal.hosting import states
from penstock.rehearsal.hosting.deployment import check_deployment, check_rolling
from penstock.rehearsal.hosting.endpoint import Endpoint, Pending, Variant, describe, row, variant_named
from penstock.rehearsal.hosting.endpoint_config import EndpointConfig, get_config
from penstock.rehearsal.hosting.instances import check_concurrency
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
        check_rolling(deployment, _names(endpoint.plan), _names(plan))
        _check_scaled(endpoint, plan, hosting.scaled_variants(call.region, endpoint.name))
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
        _put_in_place(hosting, endpoint, variants, now_ms=call.now_ms)
    hosting.wake(call.region, endpoint.name)
    return {"EndpointArn": endpoint.arn}


def resize_variant(
    hosting: Hosting, region: str, name: str, variant: str, count: int, *, provisioned: bool, now_ms: int
) -> None:
    """What autoscaling asks for: a variant's instance count, or its provisioned concurrency. Raises AwsError."""
    with hosting.journal.transaction():
        endpoint = hosting.journal.find(KIND, region, name, Endpoint)
        if endpoint is None:
            raise invalid(f"There is no endpoint {name}.")
        states.require_idle(endpoint)
        wish: dict[str, Any] = {"VariantName": variant, "DesiredInstanceCount": count}
        if provisioned:
            wish = {"VariantName": variant, "ServerlessUpdateConfig": {"ProvisionedConcurrency": count}}
        variants = _with_wish(endpoint.variants, wish, endpoint)
        _put_in_place(hosting, endpoint, variants, now_ms=now_ms)
    hosting.wake(region, name)


def _put_in_place(hosting: Hosting, endpoint: Endpoint, variants: tuple[Variant, ...], *, now_ms: int) -> None:
    """Records that the endpoint's own fleet is to change, with no new deployment."""
    pending = Pending(
        config_name=endpoint.config_name, plan=endpoint.plan, variants=variants, started_ms=now_ms, in_place=True
    )
    hosting.journal.put(KIND, states.update_requested(endpoint, pending, now_ms=now_ms))


def delete_endpoint(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        endpoint = get_endpoint(hosting, call)
        components = hosting.components(call.region, endpoint.name)
        if components:
            raise invalid(
                f'Cannot delete endpoint "{endpoint.arn}" while it hosts inference components: {", ".join(components)}.'
            )
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
    names = {variant["ModelName"] for variant in variants if "ModelName" in variant}
    return plan_fleet(config.request, {name: get_model(hosting, call, name).definition for name in names})


def _names(plan: FleetPlan) -> set[str]:
    return {variant.name for variant in plan.variants}


def _check_scaled(endpoint: Endpoint, plan: FleetPlan, scaled: set[str]) -> None:
    """Raises AwsError where the update would take a variant, or its instance type, out of autoscaling's hands."""
    before = {variant.name: variant.instance_type for variant in endpoint.plan.variants}
    after = {variant.name: variant.instance_type for variant in plan.variants}
    lost = sorted(name for name in scaled if name in before and after.get(name) != before[name])
    if lost:
        names = ", ".join(f'"{name}"' for name in lost)
        raise invalid(
            f"The variant(s) {names} must be deregistered as scalable targets with AWS Auto Scaling before they can be "
            "removed or modified."
        )


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
    if wish.get("DesiredInstanceCount") == 0 and not endpoint.plan.config.get("AsyncInferenceConfig"):
        raise invalid(f'The variant "{name}" needs at least one instance.')
    if "ServerlessUpdateConfig" in wish and variant.serverless is None:
        raise invalid(f'The variant "{name}" is not serverless.')
    serverless = variant.serverless
    if serverless is not None:
        serverless = {**serverless, **wish.get("ServerlessUpdateConfig", {})}
        check_concurrency(serverless)
    changed = replace(
        variant,
        desired_weight=wish.get("DesiredWeight", variant.desired_weight),
        desired_instances=wish.get("DesiredInstanceCount", variant.desired_instances),
        serverless=serverless,
    )
    return tuple(changed if item.name == name else item for item in variants)
