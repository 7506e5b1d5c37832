"""The table of ECR's operations that the plane offers, and the tokens that open its registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.rehearsal.ecr import images, layers, repositories, settings
from penstock.rehearsal.ecr.repositories import KIND, Ecr, Repository
from penstock.rehearsal.ecr.tokens import TOKEN_MS
from penstock.rehearsal.wire.awsjson import Call, epoch


def get_authorization_token(ecr: Ecr, call: Call) -> dict[str, Any]:
    """A token for 12 hours; proxyEndpoint is where the registry really is."""
    expires_ms = call.now_ms + TOKEN_MS
    data = {
        "authorizationToken": ecr.tokens.authorization(expires_ms),
        "expiresAt": epoch(expires_ms),
        "proxyEndpoint": f"http://{ecr.host}",
    }
    return {"authorizationData": [data]}


OPERATIONS: dict[str, Callable[[Ecr, Call], dict[str, Any]]] = {
    "CreateRepository": repositories.create_repository,
    "DescribeRepositories": repositories.describe_repositories,
    "DeleteRepository": repositories.delete_repository,
    "GetAuthorizationToken": get_authorization_token,
    "ListImages": images.list_images,
    "DescribeImages": images.describe_images,
    "BatchGetImage": images.batch_get_image,
    "BatchDeleteImage": images.batch_delete_image,
    "BatchCheckLayerAvailability": images.batch_check_layer_availability,
    "InitiateLayerUpload": layers.initiate_layer_upload,
    "UploadLayerPart": layers.upload_layer_part,
    "CompleteLayerUpload": layers.complete_layer_upload,
    "GetDownloadUrlForLayer": layers.get_download_url_for_layer,
    "PutImage": layers.put_image,
    "PutLifecyclePolicy": settings.put_lifecycle_policy,
    "GetLifecyclePolicy": settings.get_lifecycle_policy,
    "DeleteLifecyclePolicy": settings.delete_lifecycle_policy,
    "SetRepositoryPolicy": settings.set_repository_policy,
    "GetRepositoryPolicy": settings.get_repository_policy,
    "DeleteRepositoryPolicy": settings.delete_repository_policy,
    "PutImageTagMutability": settings.put_image_tag_mutability,
    "PutImageScanningConfiguration": settings.put_image_scanning_configuration,
    "TagResource": settings.tag_resource,
    "UntagResource": settings.untag_resource,
    "ListTagsForResource": settings.list_tags_for_resource,
    "DescribeRegistry": settings.describe_registry,
}


def handlers(ecr: Ecr) -> dict[str, Callable[[Call], dict[str, Any]]]:
    return {name: partial(operation, ecr) for name, operation in OPERATIONS.items()}


def may_push(ecr: Ecr, name: str) -> bool:
    """Whether a repository was created, in whichever region: the registry's paths do not name one."""
    return any(repository.name == name for repository in ecr.journal.all(KIND, Repository))


def is_immutable(ecr: Ecr, name: str) -> bool:
    found = [item for item in ecr.journal.all(KIND, Repository) if item.name == name]
    return any(item.mutability.startswith("IMMUTABLE") for item in found)
