"""A plan's steps for what stands around the endpoint: alarms on each variant, and its scaling. Pure."""

from __future__ import annotations

from typing import Any

from penstock.deploy.config import settled_variants
from penstock.deploy.observe import Observed
from penstock.deploy.request import Alarms, Autoscaling, DeployRequest
from penstock.deploy.resources import Kind, Resource, alarm_prefix, scaling_id
from penstock.deploy.steps import Action, Change, Step, difference
from penstock.ground.errors import InvalidInput

_NAMESPACE = "AWS/SageMaker"
_MOST_ALARMS = 10  # that one update may watch


def alarm_steps(request: DeployRequest, observed: Observed) -> list[Step]:
    """Alarms on the request's variants; those that are not mentioned stay as they are."""
    if request.alarms is None:
        return []
    steps = []
    for variant in settled_variants(request, observed):
        for name, body in _alarms(request, request.alarms, variant.name).items():
            steps.append(_step(Kind.ALARM, name, body, observed.alarms.get(name)))
    return steps


def scaling_steps(request: DeployRequest, observed: Observed) -> list[Step]:
    """Scaling of the request's variants, set once the endpoint is in service. Raises InvalidInput for bad bounds."""
    steps = []
    for variant in settled_variants(request, observed):
        if variant.autoscaling is not None:
            name = scaling_id(request.name, variant.name)
            steps.append(_step(Kind.SCALING, name, scaling_body(variant.autoscaling), observed.scaling.get(name)))
    return steps


def stale_scaling_steps(observed: Observed, config: dict[str, Any], deployment: str) -> list[Step]:
    """Ends the scaling of variants that ``config`` has no more: SageMaker may refuse to drop a variant that scales."""
    kept = {scaling_id(deployment, variant["VariantName"]) for variant in config["ProductionVariants"]}
    gone = sorted(observed.scaling.keys() - kept)
    return [Step(action=Action.DELETE, resource=Resource(Kind.SCALING, name), note="its variant goes") for name in gone]


def rollout_alarms(request: DeployRequest, observed: Observed) -> tuple[str, ...]:
    """The alarms that a rollout watches: those it names, else those that the request makes and those that are there."""
    if request.rollout is None or request.rollout.alarms:
        return request.rollout.alarms if request.rollout else ()
    made = [step.resource.name for step in alarm_steps(request, observed)]
    return tuple(dict.fromkeys([*made, *observed.alarms]))[:_MOST_ALARMS]


def scaling_body(scaling: Autoscaling) -> dict[str, Any]:
    """RegisterScalableTarget's and PutScalingPolicy's parts. Raises InvalidInput."""
    if not 1 <= scaling.minimum <= scaling.maximum:
        fix = "Give 1 <= minimum <= maximum; only async endpoints can scale to 0."
        raise InvalidInput(f"Scaling from {scaling.minimum} to {scaling.maximum} instances is not possible.", fix=fix)
    policy = {
        "TargetValue": scaling.invocations_per_minute,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": scaling.scale_in_cooldown_s,
        "ScaleOutCooldown": scaling.scale_out_cooldown_s,
    }
    return {"target": {"MinCapacity": scaling.minimum, "MaxCapacity": scaling.maximum}, "policy": policy}


def _alarms(request: DeployRequest, alarms: Alarms, variant: str) -> dict[str, dict[str, Any]]:
    common = {
        "Namespace": _NAMESPACE,
        "Dimensions": [{"Name": "EndpointName", "Value": request.name}, {"Name": "VariantName", "Value": variant}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [*alarms.actions],
    }
    stem = f"{alarm_prefix(request.name)}{variant}"
    found: dict[str, dict[str, Any]] = {}
    if alarms.errors_5xx_per_minute is not None:
        body = {"MetricName": "Invocation5XXErrors", "Statistic": "Sum", "Threshold": alarms.errors_5xx_per_minute}
        found[f"{stem}-5xx"] = {**common, **body}
    if alarms.latency_p99_ms is not None:
        body = {"MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Threshold": alarms.latency_p99_ms * 1000}
        found[f"{stem}-p99"] = {**common, **body}
    return found


def _step(kind: Kind, name: str, body: dict[str, Any], before: dict[str, Any] | None) -> Step:
    resource = Resource(kind, name)
    if before is None:
        return Step(action=Action.CREATE, resource=resource, spec=body)
    changes: tuple[Change, ...] = difference({key: before.get(key) for key in body}, body)
    return Step(action=Action.CHANGE if changes else Action.REUSE, resource=resource, spec=body, changes=changes)
