"""An endpoint as the plane knows it: frozen values, and the shapes that DescribeEndpoint and ListEndpoints show."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from penstock.rehearsal.fleet.plan import FleetPlan
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.awsjson import epoch


class Status(StrEnum):
    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    DELETING = "Deleting"
    FAILED = "Failed"
    OUT_OF_SERVICE = "OutOfService"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"


class DeployedImage(msgspec.Struct, frozen=True, kw_only=True):
    specified: str
    resolved: str
    resolved_ms: int


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A production variant as deployed; ``phase`` is AWS's variant status while something happens to it."""

    name: str
    images: tuple[DeployedImage, ...] = ()
    weight: float = 1.0
    desired_weight: float = 1.0
    instances: int = 0
    desired_instances: int = 1
    serverless: dict[str, Any] | None = None
    phase: str | None = None
    phase_since_ms: int = 0


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment under way: the config it goes to and the variants of the incoming fleet."""

    config_name: str
    plan: FleetPlan
    variants: tuple[Variant, ...]
    started_ms: int
    deployment: dict[str, Any] | None = None
    in_place: bool = False


class Endpoint(Recorded, frozen=True, kw_only=True):
    """``plan`` is a copy of what the config and its models said, which may be deleted while the endpoint serves."""

    config_name: str
    plan: FleetPlan
    status: Status
    modified_ms: int
    variants: tuple[Variant, ...] = ()
    shadows: tuple[Variant, ...] = ()
    pending: Pending | None = None
    failure_reason: str | None = None
    last_deployment: dict[str, Any] | None = None


def variant_named(variants: tuple[Variant, ...], name: str) -> Variant | None:
    return next((variant for variant in variants if variant.name == name), None)


def describe(endpoint: Endpoint) -> dict[str, Any]:
    """DescribeEndpoint's answer."""
    config = endpoint.plan.config
    capture = config.get("DataCaptureConfig")
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config_name,
        "ProductionVariants": [_summary(variant) for variant in endpoint.variants] or None,
        "ShadowProductionVariants": [_summary(variant) for variant in endpoint.shadows] or None,
        "DataCaptureConfig": _capture_summary(capture, endpoint.status) if capture else None,
        "EndpointStatus": endpoint.status,
        "FailureReason": endpoint.failure_reason,
        "CreationTime": epoch(endpoint.created_ms),
        "LastModifiedTime": epoch(endpoint.modified_ms),
        "LastDeploymentConfig": endpoint.last_deployment,
        "AsyncInferenceConfig": config.get("AsyncInferenceConfig"),
        "PendingDeploymentSummary": _pending_summary(endpoint.pending),
    }


def row(endpoint: Endpoint) -> dict[str, Any]:
    """One row of ListEndpoints."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "CreationTime": epoch(endpoint.created_ms),
        "LastModifiedTime": epoch(endpoint.modified_ms),
        "EndpointStatus": endpoint.status,
    }


def _summary(variant: Variant) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "VariantName": variant.name,
        "DeployedImages": [image_summary(image) for image in variant.images],
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.desired_weight,
        "CurrentInstanceCount": variant.instances,
        "DesiredInstanceCount": variant.desired_instances,
    }
    if variant.serverless is not None:
        summary["CurrentServerlessConfig"] = summary["DesiredServerlessConfig"] = variant.serverless
        summary["CurrentInstanceCount"] = 0
        del summary["DesiredInstanceCount"]
    if variant.phase is not None:
        summary["VariantStatus"] = [{"Status": variant.phase, "StartTime": epoch(variant.phase_since_ms)}]
    return summary


def image_summary(image: DeployedImage) -> dict[str, Any]:
    return {
        "SpecifiedImage": image.specified,
        "ResolvedImage": image.resolved,
        "ResolutionTime": epoch(image.resolved_ms),
    }


def _pending_summary(pending: Pending | None) -> dict[str, Any] | None:
    if pending is None or pending.in_place:
        return None
    return {
        "EndpointConfigName": pending.config_name,
        "ProductionVariants": [_summary(variant) for variant in pending.variants],
        "StartTime": epoch(pending.started_ms),
    }


def _capture_summary(capture: dict[str, Any], status: Status) -> dict[str, Any]:
    started = capture.get("EnableCapture", False) and status is not Status.CREATING
    return {
        "EnableCapture": capture.get("EnableCapture", False),
        "CaptureStatus": "Started" if started else "Stopped",
        "CurrentSamplingPercentage": capture.get("InitialSamplingPercentage"),
        "DestinationS3Uri": capture.get("DestinationS3Uri"),
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }
