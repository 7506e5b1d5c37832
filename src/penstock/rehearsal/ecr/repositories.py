"""ECR's repositories: what is known of them beside the images, which lie in the registry's storage."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from penstock.oci.storage import RegistryStorage
from penstock.rehearsal.ecr.tokens import Tokens
from penstock.rehearsal.journal import Journal, Recorded
from penstock.rehearsal.wire.arns import repository_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import AwsError

KIND = "repository"


class Repository(Recorded, frozen=True, kw_only=True):
    mutability: str = "MUTABLE"
    scan_on_push: bool = False
    policy: str | None = None
    lifecycle_policy: str | None = None
    encryption: dict[str, Any] = msgspec.field(default_factory=lambda: {"encryptionType": "AES256"})


class Parts:
    """The sizes of the parts of uploads under way, to tell at the end whether one was too small."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: dict[str, list[int]] = {}

    def add(self, upload_id: str, size: int) -> None:
        with self._lock:
            self._sizes.setdefault(upload_id, []).append(size)

    def take(self, upload_id: str) -> list[int]:
        with self._lock:
            return self._sizes.pop(upload_id, [])


class Ecr(msgspec.Struct, frozen=True, kw_only=True):
    """What the operations need. ``host`` is the registry's own address, e.g. "127.0.0.1:4566"."""

    journal: Journal
    storage: RegistryStorage
    host: str
    tokens: Tokens
    parts: Parts = msgspec.field(default_factory=Parts)


def create_repository(ecr: Ecr, call: Call) -> dict[str, Any]:
    request = call.parameters
    name = request["repositoryName"]
    repository = Repository(
        name=name, region=call.region, arn=repository_arn(name, region=call.region, account=call.account),
        created_ms=call.now_ms, mutability=request.get("imageTagMutability", "MUTABLE"),
        scan_on_push=request.get("imageScanningConfiguration", {}).get("scanOnPush", False),
        encryption=request.get("encryptionConfiguration", {"encryptionType": "AES256"}),
        tags={tag["Key"]: tag["Value"] for tag in request.get("tags", [])},
    )  # fmt: skip
    if not ecr.journal.add(KIND, repository):
        raise AwsError(
            "RepositoryAlreadyExistsException",
            f"The repository with name '{name}' already exists in the registry with id '{call.account}'",
        )
    return {"repository": _shown(ecr, repository, call.account)}


def describe_repositories(ecr: Ecr, call: Call) -> dict[str, Any]:
    names = call.parameters.get("repositoryNames")
    if names:
        found = [get_repository(ecr, call, name) for name in names]
    else:
        found = ecr.journal.all(KIND, Repository, region=call.region)
    return page("repositories", [_shown(ecr, item, call.account) for item in found], call)


def delete_repository(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call)
    if ecr.storage.manifests(repository.name) and not call.parameters.get("force"):
        raise AwsError(
            "RepositoryNotEmptyException",
            f"The repository with name '{repository.name}' in registry with id '{call.account}' cannot be deleted "
            "because it still contains images",
        )
    ecr.journal.remove(KIND, call.region, repository.name)
    ecr.storage.delete_repository(repository.name)
    ecr.storage.collect_garbage()
    return {"repository": _shown(ecr, repository, call.account)}


def get_repository(ecr: Ecr, call: Call, name: str | None = None) -> Repository:
    """The repository a call is about. Raises AwsError."""
    name = name if name is not None else call.parameters["repositoryName"]
    registry = call.parameters.get("registryId", call.account)
    repository = ecr.journal.find(KIND, call.region, name, Repository) if registry == call.account else None
    if repository is None:
        raise AwsError(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{registry}'",
        )
    return repository


def page(key: str, rows: list[dict[str, Any]], call: Call, *, size: int = 100) -> dict[str, Any]:
    """A page of ``rows`` by ECR's maxResults and nextToken."""
    token = call.parameters.get("nextToken") or "0"
    if not token.isdecimal():
        raise AwsError("InvalidParameterException", "Invalid parameter at 'nextToken' failed to satisfy constraint.")
    start, size = int(token), call.parameters.get("maxResults", size)
    more = str(start + size) if start + size < len(rows) else None
    return {key: rows[start : start + size], "nextToken": more}


def _shown(ecr: Ecr, repository: Repository, account: str) -> dict[str, Any]:
    return {
        "repositoryArn": repository.arn,
        "registryId": account,
        "repositoryName": repository.name,
        "repositoryUri": f"{ecr.host}/{repository.name}",
        "createdAt": epoch(repository.created_ms),
        "imageTagMutability": repository.mutability,
        "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
        "encryptionConfiguration": repository.encryption,
    }
