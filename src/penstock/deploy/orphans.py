"""Strays: things that were made for an endpoint that is no more, by us or by mlflow's deployment client."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from penstock.deploy.discover import tags_of
from penstock.deploy.kinds import Making
from penstock.deploy.ledger import Ledger
from penstock.deploy.removal import remove_all
from penstock.deploy.resources import DEPLOYMENT_TAG, Kind, Resource, bucket_name, log_group
from penstock.deploy.session import AwsSession
from penstock.ground.errors import NotFound
from penstock.ground.progress import SILENT, Progress

_OURS = re.compile(r"(?P<deployment>.+)-[0-9a-f]{12}")
# mlflow's deployment client: <app>-model-<20 characters>, <app>-config-<20 characters>.
_MLFLOW = re.compile(r"(?P<deployment>.+)-(?:model|config)-[0-9a-zA-Z]{20,}")


class Orphan(Struct, frozen=True, kw_only=True, order=True):
    """A stray: which deployment it belonged to, who made it, and why it is one."""

    resource: Resource
    deployment: str
    made_by: str
    why: str


def find_orphans(aws: AwsSession, ledger: Ledger) -> tuple[Orphan, ...]:
    """Every stray in the account and region. What belongs to an endpoint that is there is none, whatever its age."""
    live = {item["EndpointName"] for item in aws.pages("sagemaker", "list_endpoints", "Endpoints")} | _working(aws)
    found: list[Orphan] = [
        *(orphan for kind in (Kind.CONFIG, Kind.MODEL) for orphan in _hosting(aws, kind, live)),
        *_archives(aws, live),
        *_images(aws, live),
        *_roles(aws, live),
        *_log_groups(aws, ledger, live),
    ]
    known = {orphan.resource for orphan in found}
    for deployment in ledger.deployments():
        if deployment not in live:
            mine = (one for one in ledger.resources(deployment) if one not in known)
            found += [Orphan(resource=one, deployment=deployment, made_by="penstock", why=_UNFINISHED) for one in mine]
    return tuple(sorted(found))


def remove_orphans(
    orphans: tuple[Orphan, ...], *, session: AwsSession, ledger: Ledger, progress: Progress = SILENT
) -> dict[str, str]:
    """Removes them and gives those that could not be removed, each with why."""
    failed: dict[str, str] = {}
    for deployment in sorted({orphan.deployment for orphan in orphans}):
        making = Making(aws=session, deployment=deployment, progress=progress)
        mine = [orphan.resource for orphan in orphans if orphan.deployment == deployment]
        with ledger.locked(deployment):
            errors = remove_all(mine, making, ledger)
        failed.update({str(resource): error.message for resource, error in errors.items()})
    return failed


_NO_ENDPOINT = "its endpoint is gone"
_UNFINISHED = "recorded by a deploy or delete that did not finish"


def _hosting(aws: AwsSession, kind: Kind, live: set[str]) -> Iterator[Orphan]:
    model = kind is Kind.MODEL
    operation, member = ("list_models", "Models") if model else ("list_endpoint_configs", "EndpointConfigs")
    stem = "Model" if model else "EndpointConfig"
    used = _used(aws, kind)
    for item in aws.pages("sagemaker", operation, member):
        name = str(item[f"{stem}Name"])
        mlflow, ours = _MLFLOW.fullmatch(name), _OURS.fullmatch(name)
        if name in used or not (mlflow or ours):
            continue
        tagged = tags_of(aws, item[f"{stem}Arn"]).get(DEPLOYMENT_TAG)
        owner = tagged or (mlflow["deployment"] if mlflow else None)
        if owner is not None and owner not in live:
            yield _orphan(Resource(kind, name), owner, "penstock" if tagged else "mlflow")


def _working(aws: AwsSession) -> set[str]:
    """Deployments that have no endpoint but a transform job that works."""
    jobs = aws.pages("sagemaker", "list_transform_jobs", "TransformJobSummaries", StatusEquals="InProgress")
    tags = (tags_of(aws, job["TransformJobArn"]) for job in jobs)
    return {tag[DEPLOYMENT_TAG] for tag in tags if DEPLOYMENT_TAG in tag}


def _used(aws: AwsSession, kind: Kind) -> set[str]:
    """Names of the configs, or of the models, that endpoints use."""
    names = [item["EndpointName"] for item in aws.pages("sagemaker", "list_endpoints", "Endpoints")]
    found = (aws.find("sagemaker", "describe_endpoint", EndpointName=name) for name in names)
    configs = {endpoint["EndpointConfigName"] for endpoint in found if endpoint}
    if kind is Kind.CONFIG:
        return configs
    bodies = (aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) for name in configs)
    return {str(variant.get("ModelName")) for body in bodies if body for variant in body["ProductionVariants"]}


def _archives(aws: AwsSession, live: set[str]) -> Iterator[Orphan]:
    bucket = bucket_name(aws.region, aws.account)
    for key in _keys(aws, bucket):
        owner = key.partition("/")[0]
        if owner not in live:
            yield _orphan(Resource(Kind.ARCHIVE, f"s3://{bucket}/{key}"), owner, "penstock")
    theirs = f"mlflow-sagemaker-{aws.region}-{aws.account}"
    for key in _keys(aws, theirs):
        match = _MLFLOW.fullmatch(key.partition("/")[0])
        if match and match["deployment"] not in live:
            yield _orphan(Resource(Kind.ARCHIVE, f"s3://{theirs}/{key}"), match["deployment"], "mlflow")


def _keys(aws: AwsSession, bucket: str) -> list[str]:
    try:
        return [item["Key"] for item in aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)]
    except NotFound:
        return []


def _images(aws: AwsSession, live: set[str]) -> Iterator[Orphan]:
    try:
        details = list(aws.pages("ecr", "describe_images", "imageDetails", repositoryName="penstock"))
    except NotFound:
        return
    for tag in (tag for detail in details for tag in detail.get("imageTags", [])):
        match = _OURS.fullmatch(tag)
        if match and not any(name.startswith(match["deployment"]) for name in live):
            yield _orphan(Resource(Kind.IMAGE, f"penstock:{tag}"), match["deployment"], "penstock")


def _roles(aws: AwsSession, live: set[str]) -> Iterator[Orphan]:
    shape = re.compile(rf"penstock-(?P<deployment>.+)-{re.escape(aws.region)}")
    for role in aws.pages("iam", "list_roles", "Roles"):
        match = shape.fullmatch(role["RoleName"])
        if match and not any(name.startswith(match["deployment"]) for name in live):
            yield _orphan(Resource(Kind.ROLE, role["RoleName"]), match["deployment"], "penstock")


def _log_groups(aws: AwsSession, ledger: Ledger, live: set[str]) -> Iterator[Orphan]:
    """Only the log groups of deployments that the ledger knows: other people's logs are theirs."""
    deployments = {entry.deployment for entry in ledger.entries()} - live
    groups = {group["logGroupName"] for group in aws.pages("logs", "describe_log_groups", "logGroups")}
    for deployment in sorted(deployments):
        if log_group(deployment) in groups:
            yield _orphan(Resource(Kind.LOGS, log_group(deployment)), deployment, "penstock")


def _orphan(resource: Resource, deployment: str, made_by: str) -> Orphan:
    return Orphan(resource=resource, deployment=deployment, made_by=made_by, why=_NO_ENDPOINT)
