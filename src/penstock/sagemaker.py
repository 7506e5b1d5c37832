"""``import penstock.sagemaker as mfs``: the functions of mlflow.sagemaker as they were in 2019, over today's deploys.

What differs is said in docs/differences-from-mlflow.md: an image is made for the model, so nothing is installed when a
container starts; a deploy that fails takes back what it made; nothing is left after a delete.
"""

from __future__ import annotations

from typing import Any

from penstock.api import deployments
from penstock.api.deployments_config import read_mlflow_config
from penstock.api.deployments_image import ensure_repository, find_image, push_model_image
from penstock.api.deployments_target import SAGEMAKER, aws_target
from penstock.api.serving import serve_model
from penstock.deploy.apply import Deployment
from penstock.ground.errors import NotFound
from penstock.ground.settings import Settings, load_settings

DEPLOYMENT_MODE_ADD = "add"
DEPLOYMENT_MODE_REPLACE = "replace"
DEPLOYMENT_MODE_CREATE = "create"
DEPLOYMENT_MODES = [DEPLOYMENT_MODE_CREATE, DEPLOYMENT_MODE_ADD, DEPLOYMENT_MODE_REPLACE]
DEFAULT_IMAGE_NAME = "mlflow-pyfunc"


def deploy(
    app_name: str,
    model_uri: str,
    execution_role_arn: str | None = None,
    bucket: str | None = None,
    image_url: str | None = None,
    region_name: str | None = None,
    mode: str = DEPLOYMENT_MODE_CREATE,
    archive: bool = False,
    instance_type: str | None = None,
    instance_count: int | None = None,
    vpc_config: dict[str, Any] | None = None,
    flavor: str | None = None,
    synchronous: bool = True,
    timeout_seconds: int = 1200,
    **config: Any,
) -> Deployment:
    """Serves the model at the endpoint ``app_name`` and returns once it answers, unless ``synchronous`` is False.

    An ``image_url`` that is in the registry is used as it is; one that is not is where the model's own image is pushed.
    ``archive`` and ``flavor`` are accepted for old scripts: the former generation always stays until the next deploy,
    and the model's own MLmodel says its flavor.
    """
    settings = _settings(region_name)
    image, repository = find_image(image_url, settings=settings)
    given = {
        "mode": mode,
        "execution_role_arn": execution_role_arn,
        "bucket": bucket,
        "instance_type": instance_type,
        "instance_count": instance_count,
        "vpc_config": vpc_config,
        "repository": repository,
        "synchronous": synchronous,
        "timeout_seconds": timeout_seconds,
        **config,
    }
    options = read_mlflow_config({key: value for key, value in given.items() if value is not None}).options
    return deployments.deploy(model_uri, name=app_name, options=options, image=image, settings=settings)


def delete(
    app_name: str,
    region_name: str | None = None,
    archive: bool = False,
    synchronous: bool = True,
    timeout_seconds: int = 300,
) -> None:
    """Removes the endpoint with all that belongs to it. Raises NotFound when there is none and never was."""
    deployments.delete(app_name, force=True, settings=_settings(region_name))


def push_image_to_ecr(
    image: str = DEFAULT_IMAGE_NAME, model_uri: str | None = None, region_name: str | None = None
) -> str:
    """Gives the URL to deploy with: of the model's image, built and pushed, or of a repository that waits for one.

    In 2019 one generic image installed each model's packages whenever a container started. Here the image is made of
    the model's own packages, so without ``model_uri`` only the repository is made, and ``deploy`` fills it.
    """
    settings = _settings(region_name)
    if model_uri is None:
        return ensure_repository(image, settings=settings)
    return push_model_image(model_uri, repository=image, settings=settings)


def run_local(model_uri: str, port: int = 5000, image: str = DEFAULT_IMAGE_NAME, flavor: str | None = None) -> int:
    """Serves the model on this machine at ``port``, with the program that the image holds, until it is interrupted."""
    return serve_model(model_uri, port=port)


def list_endpoints(region_name: str | None = None) -> list[str]:
    """Names of all endpoints of the account and region, newest first."""
    found = aws_target(SAGEMAKER, _settings(region_name)).list(ours_only=False)
    return [one.name for one in found]


def _settings(region_name: str | None) -> Settings:
    return load_settings({"region": region_name})


__all__ = [
    "DEPLOYMENT_MODES",
    "DEPLOYMENT_MODE_ADD",
    "DEPLOYMENT_MODE_CREATE",
    "DEPLOYMENT_MODE_REPLACE",
    "NotFound",
    "delete",
    "deploy",
    "list_endpoints",
    "push_image_to_ecr",
    "run_local",
]
