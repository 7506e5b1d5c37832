"""The table of ECR's operations that the plane offers, and the tokens that open its registry."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.rehearsal.ecr import images, repositories
from penstock.rehearsal.ecr.repositories import KIND, Ecr, Repository
from penstock.rehearsal.wire.awsjson import Call, epoch

TOKEN_MS = 12 * 3600 * 1000


def get_authorization_token(ecr: Ecr, call: Call) -> dict[str, Any]:
    """A token for 12 hours; proxyEndpoint is where the registry really is."""
    token = base64.b64encode(f"AWS:{ecr.password}".encode()).decode()
    data = {
        "authorizationToken": token,
        "expiresAt": epoch(call.now_ms + TOKEN_MS),
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
}


def handlers(ecr: Ecr) -> dict[str, Callable[[Call], dict[str, Any]]]:
    return {name: partial(operation, ecr) for name, operation in OPERATIONS.items()}


def authorizes(ecr: Ecr, header: str) -> bool:
    """Whether an Authorization header carries the registry's token."""
    expected = "Basic " + base64.b64encode(f"AWS:{ecr.password}".encode()).decode()
    return hmac.compare_digest(header.encode(), expected.encode())


def may_push(ecr: Ecr, name: str) -> bool:
    """Whether a repository was created, in whichever region: the registry's paths do not name one."""
    return any(repository.name == name for repository in ecr.journal.all(KIND, Repository))


def is_immutable(ecr: Ecr, name: str) -> bool:
    found = [item for item in ecr.journal.all(KIND, Repository) if item.name == name]
    return any(item.mutability.startswith("IMMUTABLE") for item in found)
