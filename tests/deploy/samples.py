"""Requests and observations that the tests of the pure parts start from."""

from __future__ import annotations

from typing import Any

from penstock.deploy.observe import Observed
from penstock.deploy.plan import build_plan
from penstock.deploy.request import ArchiveSource, DeployRequest, ImageSource, Package
from penstock.deploy.resources import Kind
from penstock.deploy.steps import Plan

DIGEST = "sha256:" + "a" * 64
PACKAGE = Package(
    image=ImageSource(digest=DIGEST, size_bytes=5),
    archive=ArchiveSource(sha256="b" * 64, size_bytes=3),
    model_uri="models:/iris@champion",
)
REQUEST = DeployRequest(name="iris", package=PACKAGE)
NOTHING = Observed(
    account="123456789012",
    region="eu-west-1",
    partition="aws",
    caller="arn:aws:iam::123456789012:user/ada",
    role_name="penstock-iris-eu-west-1",
    role_arn="arn:aws:iam::123456789012:role/penstock-iris-eu-west-1",
    role_exists=False,
    role_is_ours=True,
    bucket="penstock-eu-west-1-123456789012",
    repository_uris={"penstock": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/penstock"},
)


def applied(request: DeployRequest, observed: Observed, **live: Any) -> Observed:
    """What would be observed after the plan for ``request`` was applied, with AWS's own defaults filled in."""
    plan = build_plan(request, observed)
    names = {kind: [step.resource.name for step in plan.steps if step.resource.kind is kind] for kind in Kind}
    models = {step.resource.name: step.spec for step in plan.steps if step.resource.kind is Kind.MODEL}
    config = {"EndpointConfigName": plan.config_name, "EndpointConfigArn": "arn:x", **plan.config}
    used = {variant["ModelName"] for variant in config["ProductionVariants"]}
    endpoint = {
        "EndpointName": request.name,
        "EndpointArn": f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint/{request.name}",
        "EndpointConfigName": plan.config_name,
        "EndpointStatus": "InService",
        "ProductionVariants": [
            {
                "VariantName": variant["VariantName"],
                "CurrentWeight": variant["InitialVariantWeight"],
                "DesiredInstanceCount": variant.get("InitialInstanceCount", 0),
            }
            for variant in config["ProductionVariants"]
        ],
        **live,
    }
    return Observed(
        account=observed.account,
        region=observed.region,
        partition=observed.partition,
        caller=observed.caller,
        role_name=observed.role_name,
        role_arn=observed.role_arn,
        role_exists=True,
        role_is_ours=observed.role_is_ours,
        role_policy=next((step.spec["policy"] for step in plan.steps if step.resource.kind is Kind.ROLE), None),
        bucket=observed.bucket,
        bucket_region=observed.region,
        repository_uris=observed.repository_uris,
        repositories=("penstock",),
        images=tuple(names[Kind.IMAGE]),
        archives=tuple(names[Kind.ARCHIVE]),
        model_names=(*names[Kind.MODEL], *observed.model_names),
        config_names=(*names[Kind.CONFIG], *observed.config_names),
        models={name: body for name, body in {**observed.models, **models}.items() if name in used},
        config=config,
        endpoint=endpoint,
        endpoint_tags=plan.tags,
    )


def signs(plan: Plan) -> list[tuple[str, str]]:
    """The plan as (action, kind) pairs."""
    return [(step.action.value, step.resource.kind.value) for step in plan.steps]


__all__ = ["DIGEST", "NOTHING", "PACKAGE", "REQUEST", "applied", "signs"]
