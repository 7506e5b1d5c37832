"""The bodies of models and endpoint configs: what is there, with what is mentioned laid over it. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.deploy.observe import Observed
from penstock.deploy.request import (
    DEFAULT_INSTANCE_TYPE,
    PRIMARY,
    AsyncInference,
    Capture,
    DeployRequest,
    Package,
    VariantRequest,
)
from penstock.deploy.resources import archive_key, content_hash
from penstock.ground.errors import InvalidInput

_NOT_BODY = {"EndpointConfigName", "EndpointConfigArn", "CreationTime"}


def settled_variants(request: DeployRequest, observed: Observed) -> tuple[VariantRequest, ...]:
    """The request's variants under their final names: an endpoint's only variant keeps its name, whatever it is.

    Raises InvalidInput when an endpoint has several and the request does not say which.
    """
    existing = list(_existing(observed))
    if not existing or request.mode == "replace":
        return request.variants
    if request.mode == "add":
        return tuple(_added(variant, request.package, existing) for variant in request.variants)
    if [variant.name for variant in request.variants] == [PRIMARY] and PRIMARY not in existing:
        if len(existing) > 1:
            fix = f"Say which with --variant: {', '.join(existing)}."
            raise InvalidInput(f"The endpoint {request.name!r} has several variants.", fix=fix)
        return (msgspec.structs.replace(request.variants[0], name=existing[0]),)
    return request.variants


def _added(variant: VariantRequest, package: Package, existing: list[str]) -> VariantRequest:
    if variant.name in existing and variant.name != PRIMARY:
        raise InvalidInput(
            f"The variant {variant.name!r} exists already.", fix="Choose another --variant for --mode add."
        )
    name = f"added-{content_hash(variant.package or package)[:6]}" if variant.name == PRIMARY else variant.name
    return msgspec.structs.replace(variant, name=name, weight=0.0 if variant.weight is None else variant.weight)


def image_uri(package: Package, observed: Observed) -> str:
    """What CreateModel gets: the reference given, or the repository's URI with the digest, never a tag."""
    image = package.image
    return image.reference or f"{observed.repository_uris[image.repository]}@{image.digest}"


def archive_url(request: DeployRequest, package: Package, observed: Observed) -> str | None:
    """Where the package's model archive is, or will be."""
    archive = package.archive
    if archive is None:
        return None
    return archive.url or f"s3://{observed.bucket}/{archive_key(request.name, archive.sha256)}"


def model_body(request: DeployRequest, variant: VariantRequest, observed: Observed) -> dict[str, Any]:
    """CreateModel's body without name and tags."""
    package = variant.package or request.package
    before = _model_before(variant.name, observed)
    container = before.get("PrimaryContainer", {})
    body: dict[str, Any] = {
        "ExecutionRoleArn": observed.role_arn,
        "PrimaryContainer": {
            "Image": image_uri(package, observed),
            "Environment": dict(sorted({**container.get("Environment", {}), **(request.env or {})}.items())),
        },
    }
    url = archive_url(request, package, observed)
    if url:
        body["PrimaryContainer"]["ModelDataUrl"] = url
    if request.vpc:
        body["VpcConfig"] = {"SecurityGroupIds": [*request.vpc.security_groups], "Subnets": [*request.vpc.subnets]}
    elif before.get("VpcConfig"):
        body["VpcConfig"] = before["VpcConfig"]
    isolated = (
        request.network_isolation if request.network_isolation is not None else before.get("EnableNetworkIsolation")
    )
    if isolated:
        body["EnableNetworkIsolation"] = True
    return body


def config_body(request: DeployRequest, observed: Observed, model_names: dict[str, str]) -> dict[str, Any]:
    """CreateEndpointConfig's body without name and tags. ``model_names`` has the model of every variant asked for."""
    base = {key: value for key, value in (observed.config or {}).items() if key not in _NOT_BODY}
    wanted = {variant.name: variant for variant in settled_variants(request, observed)}
    existing = {} if request.mode == "replace" else _existing(observed)
    variants = [
        _variant_body(wanted[name], existing.get(name, {}), model_names[name]) if name in wanted else existing[name]
        for name in dict.fromkeys([*existing, *wanted])
    ]
    mentioned: dict[str, Any] = {"ProductionVariants": variants}
    if request.kms_key:
        mentioned["KmsKeyId"] = request.kms_key
    if request.capture:
        mentioned["DataCaptureConfig"] = capture_body(request.capture)
    if request.async_inference:
        mentioned["AsyncInferenceConfig"] = async_body(request.async_inference)
    return {**base, **mentioned}


def _variant_body(variant: VariantRequest, before: dict[str, Any], model: str) -> dict[str, Any]:
    mentioned = {
        "VariantName": variant.name,
        "ModelName": model,
        "InitialVariantWeight": variant.weight,
        "InstanceType": variant.instance_type,
        "InitialInstanceCount": variant.instance_count,
        "VolumeSizeInGB": variant.volume_gb,
        "ContainerStartupHealthCheckTimeoutInSeconds": variant.startup_timeout_s,
        "ModelDataDownloadTimeoutInSeconds": variant.download_timeout_s,
    }
    body: dict[str, Any] = {**before, **{key: value for key, value in mentioned.items() if value is not None}}
    body.setdefault("InitialVariantWeight", 1.0)
    if variant.serverless:
        return _serverless_body(variant, body)
    if "ServerlessConfig" not in body:
        body.setdefault("InstanceType", DEFAULT_INSTANCE_TYPE)
        body.setdefault("InitialInstanceCount", 1)
    return body


def _serverless_body(variant: VariantRequest, body: dict[str, Any]) -> dict[str, Any]:
    serverless = variant.serverless
    if serverless is None or variant.instance_type or variant.instance_count:
        fix = "Give either serverless or an instance type and count."
        raise InvalidInput(f"The variant {variant.name!r} is both serverless and on instances.", fix=fix)
    settings = {"MemorySizeInMB": serverless.memory_mb, "MaxConcurrency": serverless.max_concurrency}
    if serverless.provisioned_concurrency:
        settings["ProvisionedConcurrency"] = serverless.provisioned_concurrency
    on_instances = {
        "InstanceType",
        "InitialInstanceCount",
        "VolumeSizeInGB",
        "ContainerStartupHealthCheckTimeoutInSeconds",
    }
    return {**{key: value for key, value in body.items() if key not in on_instances}, "ServerlessConfig": settings}


def capture_body(capture: Capture) -> dict[str, Any]:
    """CreateEndpointConfig's DataCaptureConfig."""
    modes = [mode for mode, wanted in (("Input", capture.input), ("Output", capture.output)) if wanted]
    body = {
        "EnableCapture": True,
        "InitialSamplingPercentage": capture.sampling_percent,
        "DestinationS3Uri": capture.s3_uri,
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": [*capture.csv_content_types],
            "JsonContentTypes": [*capture.json_content_types],
        },
    }
    return {**body, "KmsKeyId": capture.kms_key} if capture.kms_key else body


def async_body(settings: AsyncInference) -> dict[str, Any]:
    """CreateEndpointConfig's AsyncInferenceConfig."""
    output: dict[str, Any] = {"S3OutputPath": settings.output_s3_uri}
    optional = {"S3FailurePath": settings.failure_s3_uri, "KmsKeyId": settings.kms_key}
    output.update({key: value for key, value in optional.items() if value})
    topics = {"SuccessTopic": settings.success_topic, "ErrorTopic": settings.error_topic}
    chosen = {key: value for key, value in topics.items() if value}
    if chosen:
        output["NotificationConfig"] = chosen
    body: dict[str, Any] = {"OutputConfig": output}
    if settings.max_concurrent_per_instance:
        body["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": settings.max_concurrent_per_instance}
    return body


def existing_variants(observed: Observed) -> set[str]:
    """Names of the variants that are there."""
    return set(_existing(observed))


def _existing(observed: Observed) -> dict[str, dict[str, Any]]:
    return {variant["VariantName"]: variant for variant in (observed.config or {}).get("ProductionVariants", [])}


def _model_before(variant: str, observed: Observed) -> dict[str, Any]:
    name = _existing(observed).get(variant, {}).get("ModelName", "")
    return observed.models.get(name, {})
