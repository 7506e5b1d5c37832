"""What there is in the account for a deployment, found by name and by tag, without asking the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from msgspec import Struct

from penstock.deploy.resources import (
    DEPLOYMENT_TAG,
    Kind,
    Resource,
    alarm_prefix,
    bucket_name,
    log_group,
    prefix_of,
    role_name,
)
from penstock.deploy.session import AwsSession
from penstock.ground.errors import NotFound, NotImplementedHere, PenstockError

# Ours, and the two forms of mlflow's deployment client: an adopted endpoint's former parts are found too.
_OWN_TAIL = re.compile(r"[0-9a-f]{12}|(model|config)-[0-9a-z-]{20,}")


class Discovery(Struct, frozen=True, kw_only=True):
    """What was found, and the kinds that could not be looked up, each with why."""

    found: tuple[Resource, ...] = ()
    unchecked: tuple[str, ...] = ()


def discover(name: str, aws: AwsSession, *, repositories: Iterable[str] = (), buckets: Iterable[str] = ()) -> Discovery:
    """Everything that carries the deployment's name or tag. A kind that may not be listed is said to be unchecked."""
    stores = {*buckets, bucket_name(aws.region, aws.account)}
    finders: dict[str, Callable[[], list[Resource]]] = {
        "endpoints": lambda: _endpoint(name, aws),
        "endpoint configs": lambda: _hosting(name, aws, Kind.CONFIG),
        "models": lambda: _hosting(name, aws, Kind.MODEL),
        "images": lambda: [one for repository in {*repositories, "penstock"} for one in _images(name, repository, aws)],
        "archives": lambda: [one for bucket in stores for one in _archives(name, bucket, aws)],
        "roles": lambda: _role(name, aws),
        "alarms": lambda: _alarms(name, aws),
        "scaling": lambda: _scaling(name, aws),
        "log groups": lambda: _logs(name, aws),
        "transform jobs": lambda: _jobs(name, aws),
    }
    found: list[Resource] = []
    unchecked: list[str] = []
    for what, find in finders.items():
        try:
            found.extend(find())
        except NotImplementedHere:
            continue  # Where a service is not offered, nothing of it can be left.
        except PenstockError as error:
            unchecked.append(f"{what}: {error.message}")
    return Discovery(found=tuple(found), unchecked=tuple(unchecked))


def own_configs(name: str, aws: AwsSession) -> list[str]:
    """The deployment's endpoint configs, newest first."""
    return [one.name for one in _hosting(name, aws, Kind.CONFIG)]


def tags_of(aws: AwsSession, arn: str) -> dict[str, str]:
    """A SageMaker resource's tags; none when it went meanwhile."""
    try:
        return {tag["Key"]: tag["Value"] for tag in aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)}
    except NotFound:
        return {}


def _endpoint(name: str, aws: AwsSession) -> list[Resource]:
    found = aws.find("sagemaker", "describe_endpoint", EndpointName=name)
    return [Resource(Kind.ENDPOINT, name)] if found else []


def _hosting(name: str, aws: AwsSession, kind: Kind) -> list[Resource]:
    """Models or configs whose name is the deployment's with a hash behind it, unless their tag names another."""
    operation, member = (
        ("list_models", "Models") if kind is Kind.MODEL else ("list_endpoint_configs", "EndpointConfigs")
    )
    stem = "Model" if kind is Kind.MODEL else "EndpointConfig"
    prefix = prefix_of(name)
    found = []
    for item in aws.pages(
        "sagemaker", operation, member, NameContains=prefix, SortBy="CreationTime", SortOrder="Descending"
    ):
        own = str(item[f"{stem}Name"])
        if own.startswith(prefix) and _OWN_TAIL.fullmatch(own.removeprefix(prefix)):
            tag = tags_of(aws, item[f"{stem}Arn"]).get(DEPLOYMENT_TAG)
            if tag == name or (tag is None and prefix == f"{name}-"):
                found.append(Resource(kind, own))
    return found


def _images(name: str, repository: str, aws: AwsSession) -> list[Resource]:
    own = re.compile(re.escape(prefix_of(name)) + "[0-9a-f]{12}")
    try:
        details = list(aws.pages("ecr", "describe_images", "imageDetails", repositoryName=repository))
    except NotFound:
        return []
    tags = [tag for detail in details for tag in detail.get("imageTags", [])]
    return [Resource(Kind.IMAGE, f"{repository}:{tag}") for tag in tags if own.fullmatch(tag)]


def _archives(name: str, bucket: str, aws: AwsSession) -> list[Resource]:
    try:
        objects = list(aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=f"{name}/"))
    except NotFound:
        return []
    return [Resource(Kind.ARCHIVE, f"s3://{bucket}/{item['Key']}") for item in objects]


def _role(name: str, aws: AwsSession) -> list[Resource]:
    found = aws.find("iam", "get_role", RoleName=role_name(name, aws.region))
    tags = {tag["Key"]: tag["Value"] for tag in found["Role"].get("Tags", [])} if found else {}
    return [Resource(Kind.ROLE, role_name(name, aws.region))] if tags.get(DEPLOYMENT_TAG) == name else []


def _alarms(name: str, aws: AwsSession) -> list[Resource]:
    items = aws.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=alarm_prefix(name))
    return [Resource(Kind.ALARM, item["AlarmName"]) for item in items]


def _scaling(name: str, aws: AwsSession) -> list[Resource]:
    items = aws.pages(
        "application-autoscaling", "describe_scalable_targets", "ScalableTargets", ServiceNamespace="sagemaker"
    )
    names = [str(item["ResourceId"]) for item in items]
    return [Resource(Kind.SCALING, one) for one in names if one.startswith(f"endpoint/{name}/")]


def _logs(name: str, aws: AwsSession) -> list[Resource]:
    groups = aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=log_group(name))
    return [Resource(Kind.LOGS, log_group(name)) for group in groups if group["logGroupName"] == log_group(name)]


def _jobs(name: str, aws: AwsSession) -> list[Resource]:
    """Jobs that work: those that have ended are records, and can no more be removed than they cost."""
    prefix = prefix_of(name)
    items = aws.pages(
        "sagemaker", "list_transform_jobs", "TransformJobSummaries", NameContains=prefix, StatusEquals="InProgress"
    )
    names = [str(item["TransformJobName"]) for item in items]
    return [Resource(Kind.JOB, one) for one in names if _OWN_TAIL.fullmatch(one.removeprefix(prefix))]
