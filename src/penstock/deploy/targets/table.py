"""Every target by its name, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from penstock.deploy.session import open_session
from penstock.deploy.targets.port import Target, TargetSettings
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.ground.errors import NotFound
from penstock.ground.names import near

ENTRY_POINTS = "penstock.targets"


def open_sagemaker(settings: TargetSettings) -> SageMakerTarget:
    """SageMaker for these settings' region and profile.

    An endpoint URL from the environment is left to botocore, which knows the services' own variables too.
    """
    from_environment = settings.origins.get("endpoint_url", "").startswith("environment")
    endpoint_url = None if from_environment else settings.endpoint_url
    aws = open_session(region=settings.region, profile=settings.profile, endpoint_url=endpoint_url)
    return SageMakerTarget(aws, settings.state_dir)


TARGETS: dict[str, Callable[[TargetSettings], Target]] = {"sagemaker": open_sagemaker}


def open_target(name: str, settings: TargetSettings) -> Target:
    """The target called ``name``: a built-in, or one that a package offers. Raises NotFound."""
    if name in TARGETS:
        return TARGETS[name](settings)
    offered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in offered:
        opened: Target = offered[name].load()(settings)
        return opened
    known = sorted({*TARGETS, *offered})
    raise NotFound(f"There is no target {name!r}.", fix=f"Known: {', '.join(known)}.{near(name, known)}")
