"""What is deployed, as it stands: one endpoint, or all that are ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from penstock.deploy.discover import tags_of
from penstock.deploy.resources import DEPLOYMENT_TAG, EXPIRES_TAG, MODEL_TAG, OWNER_TAG, PRODUCTION_TAG, VERSION_TAG
from penstock.deploy.session import AwsSession


class VariantStatus(Struct, frozen=True, kw_only=True):
    name: str
    model_name: str = ""
    image: str = ""
    model_data: str = ""
    instance_type: str = "serverless"
    instances: int = 0
    wanted_instances: int = 0
    weight: float = 1.0
    model_uri: str = ""
    model_version: str = ""


class EndpointStatus(Struct, frozen=True, kw_only=True):
    """An endpoint now. Times are ISO 8601 in UTC; ``expires`` is empty for never."""

    name: str
    status: str
    config_name: str
    arn: str
    created: str
    changed: str
    failure_reason: str = ""
    variants: tuple[VariantStatus, ...] = ()
    model_uri: str = ""
    model_version: str = ""
    by: str = ""
    expires: str = ""
    production: bool = False
    ours: bool = False
    tags: dict[str, str] = {}

    def age_ms(self, now_ms: int) -> int:
        """Milliseconds since it last changed."""
        return now_ms - int(datetime.fromisoformat(self.changed).timestamp() * 1000)


def status(aws: AwsSession, name: str) -> EndpointStatus:
    """The endpoint ``name``. Raises NotFound."""
    found = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
    config = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=found["EndpointConfigName"]) or {}
    tags = tags_of(aws, found["EndpointArn"])
    return _status(found, config, tags, _models(aws, config))


def list_endpoints(aws: AwsSession, *, ours_only: bool = True) -> tuple[EndpointStatus, ...]:
    """Every endpoint of the account and region, or only those that Penstock made, newest first."""
    names = [item["EndpointName"] for item in aws.pages("sagemaker", "list_endpoints", "Endpoints")]
    found = [status(aws, name) for name in names]
    return tuple(one for one in found if one.ours or not ours_only)


def _models(aws: AwsSession, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    names = {variant.get("ModelName", "") for variant in config.get("ProductionVariants", [])} - {""}
    return {name: aws.find("sagemaker", "describe_model", ModelName=name) or {} for name in names}


def _status(
    found: dict[str, Any], config: dict[str, Any], tags: dict[str, str], models: dict[str, dict[str, Any]]
) -> EndpointStatus:
    live = {variant["VariantName"]: variant for variant in found.get("ProductionVariants", [])}
    variants = tuple(
        _variant(wanted, live.get(wanted["VariantName"], {}), models.get(wanted.get("ModelName", ""), {}), tags)
        for wanted in config.get("ProductionVariants", [])
    )
    return EndpointStatus(
        name=found["EndpointName"],
        status=found["EndpointStatus"],
        config_name=found["EndpointConfigName"],
        arn=found["EndpointArn"],
        created=_iso(found["CreationTime"]),
        changed=_iso(found["LastModifiedTime"]),
        failure_reason=found.get("FailureReason", ""),
        variants=variants,
        model_uri=tags.get(MODEL_TAG, ""),
        model_version=tags.get(VERSION_TAG, ""),
        by=tags.get(OWNER_TAG, ""),
        expires=iso_of_ms(tags.get(EXPIRES_TAG, "")),
        production=tags.get(PRODUCTION_TAG) == "true",
        ours=DEPLOYMENT_TAG in tags,
        tags=tags,
    )


def _variant(
    wanted: dict[str, Any], live: dict[str, Any], model: dict[str, Any], tags: dict[str, str]
) -> VariantStatus:
    container, name = model.get("PrimaryContainer", {}), wanted["VariantName"]
    return VariantStatus(
        name=wanted["VariantName"],
        model_name=wanted.get("ModelName", ""),
        image=container.get("Image", ""),
        model_data=container.get("ModelDataUrl", ""),
        instance_type=wanted.get("InstanceType", "serverless"),
        instances=live.get("CurrentInstanceCount", 0),
        wanted_instances=live.get("DesiredInstanceCount", wanted.get("InitialInstanceCount", 0)),
        weight=live.get("CurrentWeight", wanted.get("InitialVariantWeight", 1.0)),
        model_uri=tags.get(f"{MODEL_TAG}/{name}", tags.get(MODEL_TAG, "")),
        model_version=tags.get(f"{VERSION_TAG}/{name}", tags.get(VERSION_TAG, "")),
    )


def iso_of_ms(text: str) -> str:
    """``"1700000000000"`` as ``2023-11-14T22:13:20Z``; '' stays ''."""
    return _iso(datetime.fromtimestamp(int(text) / 1000, tz=UTC)) if text.isdigit() else ""


def _iso(time: datetime) -> str:
    return datetime.fromtimestamp(time.timestamp(), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
