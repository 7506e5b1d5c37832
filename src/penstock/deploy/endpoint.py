"""The endpoint's part of a plan: create it, move it to another config, shift its weights, or leave it. Pure."""

from __future__ import annotations

import re
from typing import Any

from penstock.deploy.config import settled_variants
from penstock.deploy.observe import Observed
from penstock.deploy.request import DeployRequest, Rollout
from penstock.deploy.resources import Kind, Resource, prefix_of, tag_list
from penstock.deploy.steps import Action, Change, Step, difference
from penstock.deploy.watch import rollout_alarms

BROKEN = {"Failed", "OutOfService"}


def endpoint_steps(
    request: DeployRequest,
    observed: Observed,
    config: dict[str, Any],
    *,
    config_name: str,
    models: dict[str, dict[str, Any]],
    tags: dict[str, str],
) -> list[Step]:
    """What happens to the endpoint itself; ``models`` are the bodies of the models that ``config`` will use."""
    resource = Resource(Kind.ENDPOINT, request.name)
    endpoint = observed.endpoint
    create = Step(action=Action.CREATE, resource=resource, spec={"EndpointConfigName": config_name})
    if endpoint is None:
        return [create]
    if endpoint["EndpointStatus"] in BROKEN:
        reason = str(endpoint.get("FailureReason", ""))
        return [Step(action=Action.DELETE, resource=resource, note=f"{endpoint['EndpointStatus']}: {reason}"), create]
    steps = [*_update(request, observed, config, config_name, models), *_retag(observed, tags)]
    return steps or [Step(action=Action.REUSE, resource=resource)]


def stale_steps(request: DeployRequest, observed: Observed, config: dict[str, Any], *, config_name: str) -> list[Step]:
    """Removes generations before the one now serving, which stays: it is what a rollback goes back to."""
    if observed.endpoint is None or config_name == observed.endpoint["EndpointConfigName"]:
        return []
    own = re.compile(re.escape(prefix_of(request.name)) + "[0-9a-f]{12}")
    configs = {config_name, observed.endpoint["EndpointConfigName"]}
    models = {variant.get("ModelName") for variant in config["ProductionVariants"]} | observed.models.keys()
    stale = [
        Resource(Kind.CONFIG, name) for name in observed.config_names if own.fullmatch(name) and name not in configs
    ]
    stale += [Resource(Kind.MODEL, name) for name in observed.model_names if own.fullmatch(name) and name not in models]
    return [Step(action=Action.DELETE, resource=resource, note="an older generation") for resource in stale]


def _update(
    request: DeployRequest,
    observed: Observed,
    config: dict[str, Any],
    config_name: str,
    models: dict[str, dict[str, Any]],
) -> list[Step]:
    endpoint = observed.endpoint or {}
    resource = Resource(Kind.ENDPOINT, request.name)
    if config_name != endpoint["EndpointConfigName"]:
        spec = {
            "EndpointConfigName": config_name,
            **_retained(request, observed),
            **rollout_spec(request.rollout, rollout_alarms(request, observed)),
        }
        changes: tuple[Change, ...] = (Change("EndpointConfigName", endpoint["EndpointConfigName"], config_name),)
        changes += difference(_meaning(observed.config or {}, observed.models), _meaning(config, models))
        return [Step(action=Action.CHANGE, resource=resource, spec=spec, changes=changes)]
    shifts = _shifts(request, observed)
    if not shifts:
        return []
    spec = {"DesiredWeightsAndCapacities": [{"VariantName": name, "DesiredWeight": new} for name, _, new in shifts]}
    moves = tuple(Change(f"{name} weight", str(old), str(new)) for name, old, new in shifts)
    return [Step(action=Action.CHANGE, resource=resource, spec=spec, changes=moves)]


def _shifts(request: DeployRequest, observed: Observed) -> list[tuple[str, float, float]]:
    """Variants whose present weight is not the one that is asked for: (name, present, wanted)."""
    live = {variant["VariantName"]: variant for variant in (observed.endpoint or {}).get("ProductionVariants", [])}
    return [
        (variant.name, live[variant.name].get("CurrentWeight", 1.0), variant.weight)
        for variant in settled_variants(request, observed)
        if variant.weight is not None
        and variant.name in live
        and live[variant.name].get("CurrentWeight", 1.0) != variant.weight
    ]


def _retained(request: DeployRequest, observed: Observed) -> dict[str, Any]:
    """Keeps the counts and weights that scaling and traffic shifts have set, but for those that are mentioned."""
    if request.mode == "replace":
        return {}
    variants = settled_variants(request, observed)
    mentioned = [
        ("DesiredInstanceCount", any(variant.instance_count is not None for variant in variants)),
        ("DesiredWeight", any(variant.weight is not None for variant in variants)),
        ("DataCaptureConfig", request.capture is not None),
    ]
    excluded = [{"VariantPropertyType": name} for name, given in mentioned if given]
    retained: dict[str, Any] = {"RetainAllVariantProperties": True}
    return {**retained, "ExcludeRetainedVariantProperties": excluded} if excluded else retained


def rollout_spec(rollout: Rollout | None, alarms: tuple[str, ...] = ()) -> dict[str, Any]:
    """UpdateEndpoint's DeploymentConfig for that rollout; nothing for none, which is SageMaker's all at once."""
    if rollout is None:
        return {}
    size = {"Type": "CAPACITY_PERCENT", "Value": rollout.step_percent}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
    body: dict[str, Any] = rollback if alarms else {}
    if rollout.strategy == "rolling":
        body["RollingUpdatePolicy"] = {
            "MaximumBatchSize": size,
            "WaitIntervalInSeconds": rollout.wait_s,
            "MaximumExecutionTimeoutInSeconds": rollout.timeout_s,
        }
        return {"DeploymentConfig": body}
    routing: dict[str, Any] = {"Type": rollout.strategy.upper(), "WaitIntervalInSeconds": rollout.wait_s}
    if rollout.strategy != "all_at_once":
        routing["CanarySize" if rollout.strategy == "canary" else "LinearStepSize"] = size
    body["BlueGreenUpdatePolicy"] = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": rollout.termination_wait_s,
        "MaximumExecutionTimeoutInSeconds": rollout.timeout_s,
    }
    return {"DeploymentConfig": body}


def _retag(observed: Observed, tags: dict[str, str]) -> list[Step]:
    before = observed.endpoint_tags
    moved = {key: value for key, value in tags.items() if before.get(key) != value}
    if not moved:
        return []
    changes = tuple(Change(key, before.get(key, "(none)"), value) for key, value in sorted(moved.items()))
    endpoint = observed.endpoint or {}
    spec = {"ResourceArn": endpoint["EndpointArn"], "Tags": tag_list(moved)}
    name = Resource(Kind.TAGS, str(endpoint["EndpointName"]))
    return [Step(action=Action.CHANGE, resource=name, spec=spec, changes=changes)]


def _meaning(config: dict[str, Any], models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A config with each model's name replaced by what the model runs, so that a difference says something."""
    variants = [
        {
            **{key: value for key, value in variant.items() if key != "ModelName"},
            **_runs(models.get(variant.get("ModelName", ""), {})),
        }
        for variant in config.get("ProductionVariants", [])
    ]
    rest = {
        key: value
        for key, value in config.items()
        if key not in ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    }
    return {**rest, "ProductionVariants": variants}


def _runs(model: dict[str, Any]) -> dict[str, Any]:
    container = model.get("PrimaryContainer", {})
    return {key: container[key] for key in ("Image", "ModelDataUrl", "Environment") if container.get(key)}
