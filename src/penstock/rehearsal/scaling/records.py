"""What Application Auto Scaling keeps: scalable targets, scaling policies and scaling activities, in the journal."""

from __future__ import annotations

import re
import uuid
from typing import Any

from msgspec import field

from penstock.rehearsal.journal import Recorded

TARGET, POLICY, ACTIVITY = "scalable-target", "scaling-policy", "scaling-activity"
NAMESPACE = "sagemaker"
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
PROVISIONED = "sagemaker:variant:DesiredProvisionedConcurrency"
COPIES = "sagemaker:inference-component:DesiredCopyCount"


_VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_COMPONENT = re.compile(r"inference-component/([^/]+)")


class ScalableTarget(Recorded, frozen=True, kw_only=True):
    """A capacity that may be scaled between ``minimum`` and ``maximum``; ``suspended`` is the wire's SuspendedState."""

    resource: str
    dimension: str
    minimum: int
    maximum: int
    role: str
    suspended: dict[str, bool] = field(default_factory=dict)


class ScalingPolicy(Recorded, frozen=True, kw_only=True):
    """``configuration`` is the wire's TargetTracking- or StepScalingPolicyConfiguration, by ``kind`` (PolicyType)."""

    policy: str
    resource: str
    dimension: str
    kind: str
    configuration: dict[str, Any]


class Activity(Recorded, frozen=True, kw_only=True):
    """One change of a capacity to ``wanted``, or its refusal; ``name`` is its id."""

    resource: str
    dimension: str
    wanted: int
    description: str
    cause: str
    status: str = "InProgress"
    message: str = ""
    ended_ms: int | None = None


def target_name(resource: str, dimension: str) -> str:
    """The journal's name of a scalable target: one resource has one target a dimension."""
    return f"{resource}|{dimension}"


def policy_name(resource: str, dimension: str, policy: str) -> str:
    return f"{target_name(resource, dimension)}|{policy}"


def target_arn(*, region: str, account: str) -> str:
    return f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/{uuid.uuid4().hex}"


def policy_arn(resource: str, policy: str, *, region: str, account: str) -> str:
    scope = f"resource/{NAMESPACE}/{resource}:policyName/{policy}"
    return f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{uuid.uuid4()}:{scope}"


def service_role(account: str) -> str:
    """The service-linked role that AWS makes for scaling endpoints."""
    path = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
    return f"arn:aws:iam::{account}:role/{path}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


def variant_of(resource: str) -> tuple[str, str] | None:
    """Endpoint and variant of a resource id: "endpoint/e/variant/v" is ("e", "v"); None if it names no variant."""
    match = _VARIANT.fullmatch(resource)
    return (match[1], match[2]) if match else None


def component_of(resource: str) -> str | None:
    """The inference component of a resource id, e.g. "c" of "inference-component/c"; None if it names none."""
    match = _COMPONENT.fullmatch(resource)
    return match[1] if match else None


def dimensions_of(resource: str) -> tuple[tuple[str, str], ...]:
    """The CloudWatch dimensions under which a resource's metrics are."""
    variant, component = variant_of(resource), component_of(resource)
    if variant:
        return (("EndpointName", variant[0]), ("VariantName", variant[1]))
    return (("InferenceComponentName", component),) if component else ()
