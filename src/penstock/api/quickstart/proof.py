"""The proof that nothing is left: every place is looked at again, through calls that anybody could make."""

from __future__ import annotations

from typing import Any

from penstock.api.quickstart.processes import Process
from penstock.api.quickstart.report import Check


def cloud_checks(session: Any) -> tuple[Check, ...]:
    """What boto3 still lists of everything a deployment makes. ``session`` is a boto3.Session."""
    sagemaker, ecr, s3 = session.client("sagemaker"), session.client("ecr"), session.client("s3")
    repositories = [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]]
    images = [image for name in repositories for image in ecr.list_images(repositoryName=name)["imageIds"]]
    buckets = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    archives = [key for name in buckets for key in s3.list_objects_v2(Bucket=name).get("Contents", ())]
    return (
        Check(what="endpoints", left=len(sagemaker.list_endpoints()["Endpoints"])),
        Check(what="endpoint configs", left=len(sagemaker.list_endpoint_configs()["EndpointConfigs"])),
        Check(what="models", left=len(sagemaker.list_models()["Models"])),
        Check(what="images", left=len(images)),
        Check(what="model archives", left=len(archives)),
    )


def process_check(processes: tuple[Process, ...]) -> Check:
    """How many of ``processes`` still run."""
    return Check(what="processes", left=sum(process.alive() for process in processes))
