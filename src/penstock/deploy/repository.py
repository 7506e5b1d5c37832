"""The image repository in ECR, the way into its registry, and the images that we push there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from penstock.deploy.diagnose import get_diagnosis
from penstock.deploy.kinds import Making
from penstock.deploy.resources import SHARED_TAG, tag_list
from penstock.deploy.session import AwsSession
from penstock.ground.errors import Conflict, Forbidden, IntegrityError, Unauthenticated, Unavailable
from penstock.oci.auth import Basic
from penstock.oci.client import RegistryClient
from penstock.oci.reference import Reference

REPOSITORY_SETTINGS: dict[str, Any] = {"imageScanningConfiguration": {"scanOnPush": True}}


class RegistryLogin(Struct, frozen=True):
    """The way into the account's registry for 12 hours. ``host`` is the token's own proxy endpoint."""

    host: str
    insecure_http: bool
    user: str
    password: str


def get_login(aws: AwsSession) -> RegistryLogin:
    """A fresh login. Source: ECR GetAuthorizationToken. Raises Unavailable when ECR names no registry."""
    data = aws.call("ecr", "get_authorization_token").get("authorizationData", [])
    if not data:
        raise Unavailable("ECR gave no authorization token.", fix="Run `penstock doctor`.")
    user, _, password = base64.b64decode(data[0]["authorizationToken"]).decode().partition(":")
    endpoint = urlsplit(data[0]["proxyEndpoint"])
    return RegistryLogin(endpoint.netloc, endpoint.scheme == "http", user, password)


def repository_uri(aws: AwsSession, repository: str) -> str | None:
    """The repository's URI as ECR spells it; None when there is no such repository."""
    found = aws.find("ecr", "describe_repositories", repositoryNames=[repository])
    return str(found["repositories"][0]["repositoryUri"]) if found else None


def future_uri(aws: AwsSession, repository: str) -> str:
    """The URI that a repository will have once it is made: the account's registry is where the login leads."""
    return f"{get_login(aws).host}/{repository}"


class RepositoryKind:
    """Repositories that we make: scanned on push, tags mutable because they only count who uses an image."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        if repository_uri(making.aws, name) is None:
            making.aws.call("ecr", "create_repository", repositoryName=name, tags=tag_list({SHARED_TAG: "true"}),
                            **REPOSITORY_SETTINGS)  # fmt: skip

    def remove(self, making: Making, name: str) -> None:
        """Removes the repository if it is empty."""
        try:
            making.aws.find("ecr", "delete_repository", repositoryName=name, force=False)
        except Conflict:
            return  # Other deployments' images are in it.

    def exists(self, making: Making, name: str) -> bool:
        return repository_uri(making.aws, name) is not None


class ImageKind:
    """Images that we push. The name is ``repository:tag``: removing the last tag of an image removes the image."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        digest = spec["digest"]
        image = making.materials.images.get(digest)
        if image is None:
            raise IntegrityError(f"The image {digest} is not at hand.", fix="Run the deploy from its model again.")
        login = get_login(making.aws)
        repository, _, tag = name.partition(":")
        auth, place = Basic(login.user, login.password), Reference(login.host, repository, tag)
        with _push_told(), RegistryClient(auth=auth, insecure_http=login.insecure_http) as client:
            pushed = client.push(image, place, format="docker", progress=making.progress)
        if pushed != digest:
            raise IntegrityError(
                f"The registry has {pushed}, but {digest} was pushed.", fix="Run the same command again."
            )

    def remove(self, making: Making, name: str) -> None:
        repository, _, tag = name.partition(":")
        making.aws.find("ecr", "batch_delete_image", repositoryName=repository, imageIds=[{"imageTag": tag}])

    def exists(self, making: Making, name: str) -> bool:
        repository, _, tag = name.partition(":")
        return (
            making.aws.find("ecr", "describe_images", repositoryName=repository, imageIds=[{"imageTag": tag}])
            is not None
        )


@contextmanager
def _push_told() -> Iterator[None]:
    """Adds the diagnosis to a registry's refusal: the token, or the caller's rights."""
    try:
        yield
    except Unauthenticated as error:
        raise Unauthenticated(error.message, fix=get_diagnosis("D013").fix()) from error
    except Forbidden as error:
        raise Forbidden(error.message, fix=get_diagnosis("D014").fix()) from error
