"""What is there now, read without changing anything: one frozen value that a plan is made from."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from penstock.deploy.bucket import bucket_region, split_url
from penstock.deploy.prices import Price, find_prices
from penstock.deploy.repository import future_uri, repository_uri
from penstock.deploy.request import DEFAULT_INSTANCE_TYPE, DeployRequest
from penstock.deploy.resources import (
    DEPLOYMENT_TAG,
    alarm_prefix,
    archive_key,
    bucket_name,
    image_tag,
    prefix_of,
    role_name,
)
from penstock.deploy.roles import find_policy, find_role, get_role_arn
from penstock.deploy.session import AwsSession


class Observed(Struct, frozen=True, kw_only=True):
    """The account as far as one deployment can see it. Bodies are AWS's own, without times and ARNs of no use."""

    account: str
    region: str
    partition: str
    caller: str
    role_name: str
    role_arn: str
    role_exists: bool
    role_is_ours: bool = False
    role_policy: dict[str, Any] | None = None
    bucket: str
    bucket_region: str | None = None
    repository_uris: dict[str, str] = {}
    repositories: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    model_names: tuple[str, ...] = ()
    config_names: tuple[str, ...] = ()
    models: dict[str, dict[str, Any]] = {}
    config: dict[str, Any] | None = None
    endpoint: dict[str, Any] | None = None
    endpoint_tags: dict[str, str] = {}
    scaling: dict[str, dict[str, Any]] = {}
    alarms: dict[str, dict[str, Any]] = {}
    prices: dict[str, Price] = {}

    @property
    def ours(self) -> bool:
        """Whether the endpoint that is there was made by Penstock."""
        return DEPLOYMENT_TAG in self.endpoint_tags


def observe(request: DeployRequest, aws: AwsSession) -> Observed:
    """Reads all that a plan for ``request`` depends on; independent reads run side by side."""
    bucket = request.bucket or bucket_name(aws.region, aws.account)
    with ThreadPoolExecutor(max_workers=6) as pool:
        hosting = pool.submit(_hosting, request.name, aws)
        storage = pool.submit(_storage, request, bucket, aws)
        images = pool.submit(_images, request, aws)
        models = pool.submit(_names, aws, "list_models", "Models", "ModelName", request.name)
        configs = pool.submit(
            _names, aws, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", request.name
        )
        prices = pool.submit(_prices, request, hosting, aws)
        return Observed(
            account=aws.account,
            region=aws.region,
            partition=aws.partition,
            caller=str(aws.identity["Arn"]),
            bucket=bucket,
            model_names=models.result(),
            config_names=configs.result(),
            prices=prices.result(),
            alarms=_alarms(request, aws),
            scaling=_scaling(request, aws),
            **hosting.result(),
            **_role(request, hosting.result().get("models", {}), aws),
            **storage.result(),
            **images.result(),
        )


def _hosting(name: str, aws: AwsSession) -> dict[str, Any]:
    endpoint = aws.find("sagemaker", "describe_endpoint", EndpointName=name)
    if endpoint is None:
        return {}
    config = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=endpoint["EndpointConfigName"])
    tags = aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=endpoint["EndpointArn"])
    return {
        "endpoint": endpoint,
        "config": config,
        "models": _models(config, aws),
        "endpoint_tags": {tag["Key"]: tag["Value"] for tag in tags},
    }


def _models(config: dict[str, Any] | None, aws: AwsSession) -> dict[str, dict[str, Any]]:
    names = {variant["ModelName"] for variant in (config or {}).get("ProductionVariants", []) if "ModelName" in variant}
    found = {name: aws.find("sagemaker", "describe_model", ModelName=name) for name in sorted(names)}
    return {name: body for name, body in found.items() if body is not None}


def _role(request: DeployRequest, models: dict[str, dict[str, Any]], aws: AwsSession) -> dict[str, Any]:
    """The role as asked for, else as it was, else the one that we make for this deployment."""
    own = role_name(request.name, aws.region)
    before = next((body["ExecutionRoleArn"] for body in models.values() if body.get("ExecutionRoleArn")), "")
    wanted = request.role or ("" if before.endswith(f"/{own}") else before)
    if wanted:
        arn = get_role_arn(aws, wanted)
        return {"role_name": arn.rpartition("/")[2], "role_arn": arn, "role_exists": True}
    found = find_role(aws, own)
    arn = found["Arn"] if found else f"arn:{aws.partition}:iam::{aws.account}:role/{own}"
    policy = find_policy(aws, own) if found else None
    shown = {"role_name": own, "role_arn": arn, "role_exists": found is not None}
    return {**shown, "role_is_ours": True, "role_policy": policy}


def _storage(request: DeployRequest, bucket: str, aws: AwsSession) -> dict[str, Any]:
    archives = [package.archive for package in packages(request) if package.archive is not None]
    wanted = [archive.url or f"s3://{bucket}/{archive_key(request.name, archive.sha256)}" for archive in archives]
    if not wanted:
        return {}
    return {"bucket_region": bucket_region(aws, bucket), "archives": tuple(url for url in wanted if _object(aws, url))}


def _alarms(request: DeployRequest, aws: AwsSession) -> dict[str, dict[str, Any]]:
    """The deployment's alarms, when the request is about them or an update is to be watched."""
    if request.alarms is None and request.rollout is None:
        return {}
    items = aws.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=alarm_prefix(request.name))
    return {item["AlarmName"]: item for item in items}


def _scaling(request: DeployRequest, aws: AwsSession) -> dict[str, dict[str, Any]]:
    """Each scalable target of the deployment with its policy, when the request may touch scaling."""
    if request.mode != "replace" and all(variant.autoscaling is None for variant in request.variants):
        return {}
    service, where = "application-autoscaling", {"ServiceNamespace": "sagemaker"}
    own = f"endpoint/{request.name}/"
    targets = aws.pages(service, "describe_scalable_targets", "ScalableTargets", **where)
    policies = {
        item["ResourceId"]: item.get("TargetTrackingScalingPolicyConfiguration", {})
        for item in aws.pages(service, "describe_scaling_policies", "ScalingPolicies", **where)
    }
    return {
        item["ResourceId"]: {
            "target": {key: item[key] for key in ("MinCapacity", "MaxCapacity")},
            "policy": policies.get(item["ResourceId"], {}),
        }
        for item in targets
        if item["ResourceId"].startswith(own)
    }


def _prices(request: DeployRequest, hosting: Future[dict[str, Any]], aws: AwsSession) -> dict[str, Price]:
    """Prices of the instance types that are there or asked for."""
    config = hosting.result().get("config") or {}
    kinds = {variant.get("InstanceType") for variant in config.get("ProductionVariants", [])}
    kinds |= {variant.instance_type or DEFAULT_INSTANCE_TYPE for variant in request.variants}
    return find_prices(aws, (kind for kind in kinds if kind))


def _object(aws: AwsSession, url: str) -> bool:
    bucket, key = split_url(url)
    return aws.find("s3", "head_object", Bucket=bucket, Key=key) is not None


def _images(request: DeployRequest, aws: AwsSession) -> dict[str, Any]:
    """Which repositories and which of the wanted images are there; a repository that is not has its URI to be."""
    pushed = [package.image for package in packages(request) if package.image.reference is None]
    found = {
        repository: repository_uri(aws, repository) for repository in sorted({image.repository for image in pushed})
    }
    present = []
    for image in pushed:
        tag = image_tag(request.name, image.digest)
        if found[image.repository] and _image_digest(aws, image.repository, tag) == image.digest:
            present.append(f"{image.repository}:{tag}")
    uris = {repository: uri or future_uri(aws, repository) for repository, uri in found.items()}
    repositories = tuple(repository for repository, uri in found.items() if uri)
    return {"repository_uris": uris, "repositories": repositories, "images": tuple(present)}


def _image_digest(aws: AwsSession, repository: str, tag: str) -> str | None:
    found = aws.find("ecr", "describe_images", repositoryName=repository, imageIds=[{"imageTag": tag}])
    return str(found["imageDetails"][0]["imageDigest"]) if found and found["imageDetails"] else None


def _names(aws: AwsSession, operation: str, member: str, key: str, deployment: str) -> tuple[str, ...]:
    items = aws.pages("sagemaker", operation, member, NameContains=prefix_of(deployment))
    return tuple(str(item[key]) for item in items)


def packages(request: DeployRequest) -> list[Any]:
    """The request's own package and those of its variants."""
    return [request.package, *(variant.package for variant in request.variants if variant.package is not None)]
