"""Images for deployments in the account's own registry: found, made room for, pushed."""

from __future__ import annotations

from penstock.api.deployments_model import open_model
from penstock.api.deployments_package import pack
from penstock.api.deployments_target import SAGEMAKER, aws_target
from penstock.deploy.kinds import Making
from penstock.deploy.options import DeployOptions
from penstock.deploy.repository import ImageKind, RepositoryKind, repository_uri
from penstock.deploy.resources import image_resource
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings
from penstock.oci.reference import Reference


def find_image(url: str | None, *, settings: Settings) -> tuple[str | None, str | None]:
    """The image to deploy and the repository to push to: the URL itself if the image is there, else its repository.

    An image of another account's or another host's registry is taken as it is: only SageMaker can tell.
    """
    if url is None:
        return None, None
    place, aws = Reference.parse(url), aws_target(SAGEMAKER, settings).aws
    own = repository_uri(aws, place.repository)
    if own is None:
        elsewhere = ".dkr.ecr." not in place.registry or not place.registry.startswith(aws.account)
        return (url, None) if elsewhere else (None, place.repository)
    wanted = {"imageDigest": place.digest} if place.digest else {"imageTag": place.tag}
    found = aws.find("ecr", "describe_images", repositoryName=place.repository, imageIds=[wanted])
    if not found or not found["imageDetails"]:
        return None, place.repository
    return f"{own}@{found['imageDetails'][0]['imageDigest']}", None


def ensure_repository(repository: str, *, settings: Settings) -> str:
    """The URI of that repository in the account's registry, made if it was not there."""
    aws = aws_target(SAGEMAKER, settings).aws
    RepositoryKind().make(Making(aws=aws, deployment=repository), repository, {})
    return str(repository_uri(aws, repository))


def push_model_image(model_uri: str, *, repository: str, settings: Settings, progress: Progress = SILENT) -> str:
    """Builds the model's image, pushes it to the repository, and gives its reference by digest."""
    uri = ensure_repository(repository, settings=settings)
    options = DeployOptions(repository=repository)
    packed = pack(open_model(model_uri), options=options, image=None, settings=settings, progress=progress)
    digest = packed.package.image.digest
    making = Making(aws=aws_target(SAGEMAKER, settings).aws, deployment=repository, materials=packed.materials)
    ImageKind().make(making, image_resource(repository, "model", digest).name, {"digest": digest})
    return f"{uri}@{digest}"
