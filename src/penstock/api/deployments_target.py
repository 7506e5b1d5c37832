"""Where a deployment goes: a target's name becomes the target; ``local`` is SageMaker's on the embedded plane."""

from __future__ import annotations

from pathlib import Path

import boto3

from penstock.deploy.session import AwsSession
from penstock.deploy.targets.port import Target
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.deploy.targets.table import open_target
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import Settings
from penstock.rehearsal.options import PlaneInfo
from penstock.rehearsal.process import plane_environment, start_plane

SAGEMAKER = "sagemaker"
LOCAL = "local"


def target_of(name: str, settings: Settings) -> Target:
    """The target called ``name``; ``local`` starts the embedded plane if it is not up. Raises NotFound."""
    return local_target(settings) if name == LOCAL else open_target(name, settings)


def aws_target(name: str, settings: Settings) -> SageMakerTarget:
    """The same, for what only SageMaker can do. Raises InvalidInput for another target."""
    target = target_of(name, settings)
    if not isinstance(target, SageMakerTarget):
        raise InvalidInput(f"The target {name!r} cannot do that.", fix=f"Use --to {SAGEMAKER} or --to {LOCAL}.")
    return target


def local_target(settings: Settings, plane: PlaneInfo | None = None) -> SageMakerTarget:
    """The very same target, with the plane's URL and false keys."""
    info = plane or start_plane(
        plane_dir(settings), cache_dir=settings.cache_dir, runner=settings.runner, region=settings.region
    )
    environment = plane_environment(info)
    boto = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=info.region,
    )
    return SageMakerTarget(AwsSession(boto, region=info.region, endpoint_url=info.url), settings.state_dir)


def plane_dir(settings: Settings) -> Path:
    """Where the plane of ``--to local`` keeps its state."""
    return settings.state_dir / "planes" / "local"
