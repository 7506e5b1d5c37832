"""Application Auto Scaling's operations on endpoints: targets, policies, activities, tags; and their table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.hosting.listing import page_of
from penstock.rehearsal.journal import Journal, Recorded
from penstock.rehearsal.scaling.capacities import Capacities
from penstock.rehearsal.scaling.records import (
    ACTIVITY,
    COPIES,
    INSTANCES,
    NAMESPACE,
    POLICY,
    PROVISIONED,
    TARGET,
    Activity,
    ScalableTarget,
    ScalingPolicy,
    policy_arn,
    policy_name,
    service_role,
    target_arn,
    target_name,
    variant_of,
)  # fmt: skip
from penstock.rehearsal.scaling.tracking import alarm_names, check_tracking
from penstock.rehearsal.wire.arns import alarm_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import AwsError, invalid

_DIMENSIONS = (INSTANCES, PROVISIONED, COPIES)
_PAGE = 50


class Scaling:
    """What the operations need."""

    def __init__(self, *, journal: Journal, capacities: Capacities) -> None:
        self.journal = journal
        self.capacities = capacities


Operation = Callable[[Scaling, Call], dict[str, Any]]


def register_scalable_target(scaling: Scaling, call: Call) -> dict[str, Any]:
    """Makes the resource scalable, or changes the bounds of one that is."""
    request = call.parameters
    resource, dimension = _resource(call)
    with scaling.journal.transaction():
        known = _find_target(scaling, call)
        minimum = request.get("MinCapacity", known.minimum if known else None)
        maximum = request.get("MaxCapacity", known.maximum if known else None)
        if minimum is None or maximum is None:
            raise invalid("MinCapacity and MaxCapacity are both required to register a new scalable target.")
        _check_bounds(scaling, call, minimum, maximum)
        target = ScalableTarget(
            name=target_name(resource, dimension), region=call.region, resource=resource, dimension=dimension,
            arn=known.arn if known else target_arn(region=call.region, account=call.account),
            created_ms=known.created_ms if known else call.now_ms, minimum=minimum, maximum=maximum,
            tags=request.get("Tags", known.tags if known else {}), role=service_role(call.account),
            suspended=request.get("SuspendedState", known.suspended if known else {}),
        )  # fmt: skip
        scaling.journal.put(TARGET, target)
    return {"ScalableTargetARN": target.arn}


def describe_scalable_targets(scaling: Scaling, call: Call) -> dict[str, Any]:
    wanted = call.parameters.get("ResourceIds")
    targets = [
        target for target in scaling.journal.all(TARGET, ScalableTarget, region=call.region)
        if _is_asked(call, target.dimension) and (not wanted or target.resource in wanted)
    ]  # fmt: skip
    return _page(call, "ScalableTargets", [_target(target) for target in targets])


def deregister_scalable_target(scaling: Scaling, call: Call) -> dict[str, Any]:
    """Forgets the target and its policies; what they had reached stays as it is."""
    with scaling.journal.transaction():
        forget_target(scaling.journal, _get_target(scaling, call))
    return {}


def put_scaling_policy(scaling: Scaling, call: Call) -> dict[str, Any]:
    """Adds the policy to its target, or changes the policy of that name."""
    request = call.parameters
    resource, dimension = _resource(call)
    with scaling.journal.transaction():
        _get_target(scaling, call)
        name = policy_name(resource, dimension, request["PolicyName"])
        known = scaling.journal.find(POLICY, call.region, name, ScalingPolicy)
        kind = request.get("PolicyType", known.kind if known else "StepScaling")
        configuration = request.get(f"{kind}PolicyConfiguration") or (known.configuration if known else None)
        _check_policy(kind, configuration, dimension)
        arn = known.arn if known else policy_arn(
            resource, request["PolicyName"], region=call.region, account=call.account
        )  # fmt: skip
        policy = ScalingPolicy(
            name=name, region=call.region, arn=arn, created_ms=known.created_ms if known else call.now_ms,
            policy=request["PolicyName"], resource=resource, dimension=dimension, kind=kind,
            configuration=configuration or {},
        )  # fmt: skip
        scaling.journal.put(POLICY, policy)
    return {"PolicyARN": policy.arn, "Alarms": _alarms(policy, call)}


def describe_scaling_policies(scaling: Scaling, call: Call) -> dict[str, Any]:
    request = call.parameters
    policies = [
        policy for policy in scaling.journal.all(POLICY, ScalingPolicy, region=call.region)
        if _is_asked(call, policy.dimension) and request.get("ResourceId") in (None, policy.resource)
        and (not request.get("PolicyNames") or policy.policy in request["PolicyNames"])
    ]  # fmt: skip
    return _page(call, "ScalingPolicies", [_policy(policy, call) for policy in policies])


def delete_scaling_policy(scaling: Scaling, call: Call) -> dict[str, Any]:
    resource, dimension = _resource(call)
    name = policy_name(resource, dimension, call.parameters["PolicyName"])
    if not scaling.journal.remove(POLICY, call.region, name):
        raise _not_found(f"No scaling policy found for service namespace: {NAMESPACE}, resource ID: {resource}, "
                         f"scalable dimension: {dimension}, policy name: {call.parameters['PolicyName']}")  # fmt: skip
    return {}


def describe_scaling_activities(scaling: Scaling, call: Call) -> dict[str, Any]:
    """What was changed and why, newest first."""
    request = call.parameters
    activities = [
        activity for activity in scaling.journal.all(ACTIVITY, Activity, region=call.region)
        if _is_asked(call, activity.dimension) and request.get("ResourceId") in (None, activity.resource)
    ]  # fmt: skip
    activities.sort(key=lambda activity: activity.created_ms, reverse=True)
    return _page(call, "ScalingActivities", [_activity(activity) for activity in activities])


def tag_resource(scaling: Scaling, call: Call) -> dict[str, Any]:
    return _retag(scaling, call, lambda tags: {**tags, **call.parameters["Tags"]})


def untag_resource(scaling: Scaling, call: Call) -> dict[str, Any]:
    gone = call.parameters["TagKeys"]
    return _retag(scaling, call, lambda tags: {key: value for key, value in tags.items() if key not in gone})


def list_tags_for_resource(scaling: Scaling, call: Call) -> dict[str, Any]:
    return {"Tags": _tagged(scaling, call).tags}


OPERATIONS: dict[str, Operation] = {
    "RegisterScalableTarget": register_scalable_target,
    "DescribeScalableTargets": describe_scalable_targets,
    "DeregisterScalableTarget": deregister_scalable_target,
    "PutScalingPolicy": put_scaling_policy,
    "DescribeScalingPolicies": describe_scaling_policies,
    "DeleteScalingPolicy": delete_scaling_policy,
    "DescribeScalingActivities": describe_scaling_activities,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}


def handlers(scaling: Scaling) -> dict[str, Callable[[Call], dict[str, Any]]]:
    """Every offered operation as a function of a call."""
    return {name: partial(operation, scaling) for name, operation in OPERATIONS.items()}


def forget_target(journal: Journal, target: ScalableTarget) -> None:
    """Removes a target and its policies."""
    for policy in journal.all(POLICY, ScalingPolicy, region=target.region):
        if (policy.resource, policy.dimension) == (target.resource, target.dimension):
            journal.remove(POLICY, target.region, policy.name)
    journal.remove(TARGET, target.region, target.name)


def scaled_variants(journal: Journal, region: str, endpoint: str) -> set[str]:
    """The variants of an endpoint that are registered as scalable targets."""
    named = (variant_of(target.resource) for target in journal.all(TARGET, ScalableTarget, region=region))
    return {variant for owner, variant in filter(None, named) if owner == endpoint}


def _resource(call: Call) -> tuple[str, str]:
    request = call.parameters
    if request["ServiceNamespace"] != NAMESPACE or request["ScalableDimension"] not in _DIMENSIONS:
        raise invalid(
            f"Unsupported service namespace, resource type or scalable dimension: {request['ServiceNamespace']}, "
            f"{request['ScalableDimension']}. This plane scales endpoints and inference components."
        )
    return request["ResourceId"], request["ScalableDimension"]


def _check_bounds(scaling: Scaling, call: Call, minimum: int, maximum: int) -> None:
    resource, dimension = _resource(call)
    capacity = scaling.capacities.read(call.region, resource, dimension)
    if capacity is None:
        raise invalid(f"No endpoint or variant found for service namespace: {NAMESPACE}, resource ID: {resource}, "
                      f"scalable dimension: {dimension}")  # fmt: skip
    if minimum < capacity.least or maximum < 1:
        raise invalid(f"Minimum capacity must be at least {capacity.least}, maximum capacity at least 1.")
    if maximum < minimum:
        raise invalid("Maximum capacity cannot be less than minimum capacity")


def _check_policy(kind: str, configuration: dict[str, Any] | None, dimension: str) -> None:
    if kind == "PredictiveScaling":
        raise invalid("Predictive scaling is not supported for service namespace sagemaker.")
    if not configuration:
        raise invalid(f"{kind}PolicyConfiguration is required for the policy type {kind}.")
    if kind == "TargetTrackingScaling":
        check_tracking(configuration, dimension)
    elif "AdjustmentType" not in configuration or not configuration.get("StepAdjustments"):
        raise invalid("AdjustmentType and StepAdjustments are required for a step scaling policy.")


def _find_target(scaling: Scaling, call: Call) -> ScalableTarget | None:
    return scaling.journal.find(TARGET, call.region, target_name(*_resource(call)), ScalableTarget)


def _get_target(scaling: Scaling, call: Call) -> ScalableTarget:
    target = _find_target(scaling, call)
    if target is None:
        resource, dimension = _resource(call)
        raise _not_found(f"No scalable target registered for service namespace: {NAMESPACE}, resource ID: {resource}, "
                         f"scalable dimension: {dimension}")  # fmt: skip
    return target


def _tagged(scaling: Scaling, call: Call) -> ScalableTarget:
    arn = call.parameters["ResourceARN"]
    for target in scaling.journal.all(TARGET, ScalableTarget, region=call.region):
        if target.arn == arn:
            return target
    raise AwsError("ResourceNotFoundException", f"No scalable target has the ARN {arn}.")


def _retag(scaling: Scaling, call: Call, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, Any]:
    with scaling.journal.transaction():
        target: Recorded = _tagged(scaling, call)
        scaling.journal.put(TARGET, replace(target, tags=change(target.tags)))
    return {}


def _not_found(message: str) -> AwsError:
    return AwsError("ObjectNotFoundException", message)


def _is_asked(call: Call, dimension: str) -> bool:
    request = call.parameters
    return request["ServiceNamespace"] == NAMESPACE and request.get("ScalableDimension") in (None, dimension)


def _page(call: Call, answer: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    page, token = page_of(list(rows), call.parameters, size=_PAGE, error="InvalidNextTokenException")
    return {answer: page, "NextToken": token}


def _target(target: ScalableTarget) -> dict[str, Any]:
    suspended = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False,
                 "ScheduledScalingSuspended": False, **target.suspended}  # fmt: skip
    return {
        "ServiceNamespace": NAMESPACE, "ResourceId": target.resource, "ScalableDimension": target.dimension,
        "MinCapacity": target.minimum, "MaxCapacity": target.maximum, "RoleARN": target.role,
        "CreationTime": epoch(target.created_ms), "SuspendedState": suspended, "ScalableTargetARN": target.arn,
    }  # fmt: skip


def _policy(policy: ScalingPolicy, call: Call) -> dict[str, Any]:
    return {
        "PolicyARN": policy.arn, "PolicyName": policy.policy, "ServiceNamespace": NAMESPACE,
        "ResourceId": policy.resource, "ScalableDimension": policy.dimension, "PolicyType": policy.kind,
        f"{policy.kind}PolicyConfiguration": policy.configuration, "Alarms": _alarms(policy, call),
        "CreationTime": epoch(policy.created_ms),
    }  # fmt: skip


def _alarms(policy: ScalingPolicy, call: Call) -> list[dict[str, str]]:
    if policy.kind != "TargetTrackingScaling":
        return []
    names = alarm_names(policy)
    return [
        {"AlarmName": name, "AlarmARN": alarm_arn(name, region=call.region, account=call.account)} for name in names
    ]


def _activity(activity: Activity) -> dict[str, Any]:
    row = {
        "ActivityId": activity.name, "ServiceNamespace": NAMESPACE, "ResourceId": activity.resource,
        "ScalableDimension": activity.dimension, "Description": activity.description, "Cause": activity.cause,
        "StartTime": epoch(activity.created_ms), "StatusCode": activity.status, "StatusMessage": activity.message,
    }  # fmt: skip
    return row if activity.ended_ms is None else {**row, "EndTime": epoch(activity.ended_ms)}
