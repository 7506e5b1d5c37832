"""The step for the role that is made for one deployment: it may do what that deployment needs, and no more. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from penstock.deploy.observe import Observed, packages
from penstock.deploy.request import DeployRequest
from penstock.deploy.resources import Kind, Resource
from penstock.deploy.roles import Reach, execution_policy, trust_policy
from penstock.deploy.steps import Action, Step, difference
from penstock.oci.reference import Reference

_ECR_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.")


def role_step(request: DeployRequest, observed: Observed, config: dict[str, Any]) -> Step:
    """Makes the role, or widens the one that is there to what ``config`` needs now."""
    policy = execution_policy(reach_of(request, observed, config))
    spec, resource = {"trust": trust_policy(), "policy": policy}, Resource(Kind.ROLE, observed.role_name)
    if not observed.role_exists:
        return Step(action=Action.CREATE, resource=resource, spec=spec)
    changes = difference(observed.role_policy or {}, policy) if observed.role_policy != policy else ()
    return Step(action=Action.CHANGE if changes else Action.REUSE, resource=resource, spec=spec, changes=changes)


def reach_of(request: DeployRequest, observed: Observed, config: dict[str, Any]) -> Reach:
    """All that containers of this deployment, and SageMaker in their name, have to read, write, call and decrypt."""
    output = config.get("AsyncInferenceConfig", {}).get("OutputConfig", {})
    capture = config.get("DataCaptureConfig", {})
    written = (output.get("S3OutputPath"), output.get("S3FailurePath"), capture.get("DestinationS3Uri"))
    own = f"s3://{observed.bucket}/{request.name}"
    archives = [package.archive.url for package in packages(request) if package.archive and package.archive.url]
    prefixes = {own, *request.reach, *filter(None, written), *(url.rpartition("/")[0] for url in archives)}
    keys = (config.get("KmsKeyId"), capture.get("KmsKeyId"), output.get("KmsKeyId"))
    models = [*observed.models.values()]
    return Reach(
        partition=observed.partition,
        region=observed.region,
        account=observed.account,
        repositories=tuple(sorted({*_repositories(request, observed)})),
        prefixes=tuple(sorted(prefixes)),
        topics=tuple(sorted(output.get("NotificationConfig", {}).get(key, "") for key in _TOPICS if
                            key in output.get("NotificationConfig", {}))),
        keys=tuple(sorted({key for key in keys if key})),
        vpc=request.vpc is not None or any(model.get("VpcConfig") for model in models),
    )  # fmt: skip


_TOPICS = ("SuccessTopic", "ErrorTopic")


def _repositories(request: DeployRequest, observed: Observed) -> Iterator[str]:
    """ARNs of the repositories that the role pulls from: ours, and those of images that are in a registry already."""
    here = f"arn:{observed.partition}:ecr:{observed.region}:{observed.account}:repository"
    yield from (f"{here}/{name}" for name in observed.repository_uris)
    for reference in {package.image.reference for package in packages(request) if package.image.reference}:
        place = Reference.parse(reference)
        found = _ECR_HOST.match(place.registry)
        if found:
            yield f"arn:{observed.partition}:ecr:{found['region']}:{found['account']}:repository/{place.repository}"
        else:
            yield f"{here}/{place.repository}"
