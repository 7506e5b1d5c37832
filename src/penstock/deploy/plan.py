"""The plan: the steps from what is there to what is asked for. A pure function of two values."""

from __future__ import annotations

from typing import Any

from penstock.deploy.config import archive_url, config_body, existing_variants, model_body, settled_variants
from penstock.deploy.endpoint import BROKEN, endpoint_steps, stale_steps
from penstock.deploy.observe import Observed, packages
from penstock.deploy.prices import sum_cost
from penstock.deploy.reach import role_step
from penstock.deploy.request import DeployRequest, VariantRequest
from penstock.deploy.resources import (
    DEPLOYMENT_TAG,
    EXPIRES_TAG,
    MODEL_TAG,
    OWNER_TAG,
    PRODUCTION_TAG,
    VERSION_TAG,
    Kind,
    image_resource,
    name_by_content,
)
from penstock.deploy.steps import Plan, Step, step
from penstock.deploy.watch import alarm_steps, scaling_steps, stale_scaling_steps
from penstock.ground.errors import AlreadyExists, Conflict, InvalidInput

BUSY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}


def build_plan(request: DeployRequest, observed: Observed) -> Plan:
    """The plan that takes ``observed`` to ``request``. Pure: the same two values give the same plan.

    Raises AlreadyExists for mode "create" when the endpoint is there, Conflict while it is busy, and InvalidInput
    for settings that contradict one another or what is there.
    """
    _check(request, observed)
    tags = _tags(request, observed)
    variants = settled_variants(request, observed)
    models = {variant.name: _model(request, variant, observed) for variant in variants}
    config = config_body(request, observed, {variant: name for variant, (name, _) in models.items()})
    config_name = _config_name(request, observed, config)
    steps = [
        *_shared_steps(request, observed, config),
        *_image_steps(request, observed),
        *_archive_steps(request, observed),
        *(step(Kind.MODEL, name, name in observed.model_names, **body) for name, body in dict(models.values()).items()),
        step(Kind.CONFIG, config_name, config_name in observed.config_names, **config),
        *alarm_steps(request, observed),
        *stale_scaling_steps(observed, config, request.name),
        *endpoint_steps(request, observed, config, config_name=config_name, models=dict(models.values()), tags=tags),
        *scaling_steps(request, observed),
        *stale_steps(request, observed, config, config_name=config_name),
    ]
    return Plan(
        name=request.name,
        account=observed.account,
        region=observed.region,
        steps=tuple(steps),
        config_name=config_name,
        config=config,
        previous_config=observed.endpoint["EndpointConfigName"] if observed.endpoint else None,
        images={variant: body["PrimaryContainer"]["Image"] for variant, (_, body) in models.items()},
        tags=tags,
        warnings=_warnings(request, observed),
        cost=sum_cost(config["ProductionVariants"], observed.prices),
    )


def _check(request: DeployRequest, observed: Observed) -> None:
    if not request.package.image.digest and not request.package.image.reference:
        raise InvalidInput("The package has no image.", fix="Give an image reference, or build one.")
    if observed.endpoint is None:
        return
    status = observed.endpoint["EndpointStatus"]
    if status in BUSY:
        fix = f"Wait with `penstock status {request.name} --wait`, then run the same command again."
        raise Conflict(f"The endpoint {request.name!r} is {status}, which cannot be interrupted.", fix=fix)
    if request.mode == "create" and status not in BROKEN:
        fix = "Leave --mode out to update it, or choose another name."
        raise AlreadyExists(f"The endpoint {request.name!r} exists already.", fix=fix)


def _tags(request: DeployRequest, observed: Observed) -> dict[str, str]:
    """All tags that our resources carry: those that are there stay, the request's win."""
    reserved = [key for key in request.tags if key.startswith(("aws:", "penstock:"))]
    if reserved:
        raise InvalidInput(
            f"The tag {reserved[0]!r} has a reserved prefix.", fix="Choose a key without aws: or penstock:."
        )
    before = observed.endpoint_tags
    own = {
        DEPLOYMENT_TAG: request.name,
        OWNER_TAG: before.get(OWNER_TAG, observed.caller),
        **_model_tags(request, observed),
        PRODUCTION_TAG: _production(request, before),
        EXPIRES_TAG: _expiry(request, before),
    }
    return {**before, **request.tags, **{key: value[:256] for key, value in own.items() if value or key in before}}


def _model_tags(request: DeployRequest, observed: Observed) -> dict[str, str]:
    """Which model the endpoint serves; by variant for those that serve another than the rest, or are all that moves."""
    wanted = settled_variants(request, observed)
    kept = set() if request.mode == "replace" else existing_variants(observed) - {variant.name for variant in wanted}
    tags = {} if kept else {MODEL_TAG: request.package.model_uri, VERSION_TAG: request.package.model_version}
    for variant in wanted:
        package = variant.package or request.package
        if kept or variant.package is not None or f"{MODEL_TAG}/{variant.name}" in observed.endpoint_tags:
            tags[f"{MODEL_TAG}/{variant.name}"] = package.model_uri
            tags[f"{VERSION_TAG}/{variant.name}"] = package.model_version
    return tags


def _production(request: DeployRequest, before: dict[str, str]) -> str:
    """As asked for, else as it was; asking for an expiry says that it is not for production."""
    if request.production:
        return "true"
    return "" if request.expires_at_ms is not None else before.get(PRODUCTION_TAG, "")


def _expiry(request: DeployRequest, before: dict[str, str]) -> str:
    """The time after which ``expire`` may delete it: as asked, else as it was, else the default; '' for never."""
    if request.expires_at_ms is not None:
        return str(request.expires_at_ms)
    if _production(request, before):
        return ""
    default = "" if request.default_expires_at_ms is None else str(request.default_expires_at_ms)
    return before.get(EXPIRES_TAG, "") or default


def _model(request: DeployRequest, variant: VariantRequest, observed: Observed) -> tuple[str, dict[str, Any]]:
    body = model_body(request, variant, observed)
    return name_by_content(request.name, body), body


def _config_name(request: DeployRequest, observed: Observed, config: dict[str, Any]) -> str:
    """The config in use, if it says the same already; else a name that depends on the content."""
    if observed.config is not None and observed.config.items() >= config.items():
        return str(observed.config["EndpointConfigName"])
    return name_by_content(request.name, config)


def _shared_steps(request: DeployRequest, observed: Observed, config: dict[str, Any]) -> list[Step]:
    """The role that is made for this deployment, and the bucket and repository that deployments share."""
    steps = [role_step(request, observed, config)] if observed.role_is_ours else []
    if _uploads(request, observed):
        if observed.bucket_region not in (None, observed.region):
            where = f"in {observed.bucket_region}, the endpoint in {observed.region}"
            raise InvalidInput(
                f"The bucket {observed.bucket!r} is {where}.", fix="Use a bucket in the endpoint's region."
            )
        steps.append(step(Kind.BUCKET, observed.bucket, observed.bucket_region is not None))
    repositories = sorted(observed.repository_uris)
    return steps + [step(Kind.REPOSITORY, name, name in observed.repositories) for name in repositories]


def _image_steps(request: DeployRequest, observed: Observed) -> list[Step]:
    steps: dict[str, Step] = {}
    for image in (package.image for package in packages(request) if package.image.reference is None):
        name = image_resource(image.repository, request.name, image.digest).name
        steps[name] = step(Kind.IMAGE, name, name in observed.images, digest=image.digest, size_bytes=image.size_bytes)
    return list(steps.values())


def _uploads(request: DeployRequest, observed: Observed) -> dict[str, Any]:
    local = [package for package in packages(request) if package.archive is not None and package.archive.url is None]
    return {str(archive_url(request, package, observed)): package.archive for package in local}


def _archive_steps(request: DeployRequest, observed: Observed) -> list[Step]:
    return [
        step(Kind.ARCHIVE, url, url in observed.archives, sha256=archive.sha256, size_bytes=archive.size_bytes)
        for url, archive in _uploads(request, observed).items()
    ]


def _warnings(request: DeployRequest, observed: Observed) -> tuple[str, ...]:
    if observed.endpoint is not None and DEPLOYMENT_TAG not in observed.endpoint_tags:
        return (f"The endpoint {request.name!r} was not made by Penstock; it is adopted.",)
    return ()
