"""What a deployment is made of in the cloud: kinds of resources, their names and the tags they carry."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

DEPLOYMENT_TAG = "penstock:deployment"
EXPIRES_TAG = "penstock:expires"
MODEL_TAG = "penstock:model"
VERSION_TAG = "penstock:model-version"
OWNER_TAG = "penstock:by"
PRODUCTION_TAG = "penstock:production"
SHARED_TAG = "penstock:shared"

NAME_LIMIT = 63
_HASH_DIGITS = 12


class Kind(StrEnum):
    """Kinds in the order in which they are made; they are removed in the reverse order."""

    LOGS = "logs"
    ROLE = "role"
    BUCKET = "bucket"
    REPOSITORY = "repository"
    IMAGE = "image"
    ARCHIVE = "archive"
    MODEL = "model"
    CONFIG = "config"
    ALARM = "alarm"
    ENDPOINT = "endpoint"
    TAGS = "tags"
    SCALING = "scaling"
    JOB = "job"


KIND_ORDER = tuple(Kind)


class Resource(Struct, frozen=True, order=True):
    """One thing in the account: its kind and the name that its API takes."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"


def content_hash(body: Any) -> str:
    """Twelve hex digits that depend on what ``body`` says and on nothing else."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()[:_HASH_DIGITS]


def prefix_of(deployment: str) -> str:
    """The start of every model's and config's name of ``deployment``: cut so that a hash fits behind it."""
    return deployment[: NAME_LIMIT - _HASH_DIGITS - 1].rstrip("-") + "-"


def name_by_content(deployment: str, body: Any) -> str:
    """``iris`` and a body give ``iris-3f9c...``: the same content has the same name, so nothing is made twice."""
    return prefix_of(deployment) + content_hash(body)


def role_name(deployment: str, region: str) -> str:
    """``penstock-iris-eu-west-1``, at most the 64 characters of IAM."""
    tail = f"-{region}"
    return f"penstock-{deployment}"[: 64 - len(tail)].rstrip("-") + tail


def image_tag(deployment: str, digest: str) -> str:
    """``iris-0123456789ab``: a tag per deployment and digest, so that removing it spares what others use."""
    return prefix_of(deployment) + digest.removeprefix("sha256:")[:_HASH_DIGITS]


def image_resource(repository: str, deployment: str, digest: str) -> Resource:
    return Resource(Kind.IMAGE, f"{repository}:{image_tag(deployment, digest)}")


def archive_key(deployment: str, sha256: str) -> str:
    return f"{deployment}/{sha256[:16]}/model.tar.gz"


def bucket_name(region: str, account: str) -> str:
    return f"penstock-{region}-{account}"


def job_name(deployment: str, unique: str) -> str:
    """A transform job's name, never used before: SageMaker keeps the records of old jobs for good."""
    return prefix_of(deployment) + unique[:_HASH_DIGITS]


def log_group(deployment: str) -> str:
    return f"/aws/sagemaker/Endpoints/{deployment}"


def alarm_prefix(deployment: str) -> str:
    return f"penstock-{deployment}-"


def scaling_id(deployment: str, variant: str) -> str:
    return f"endpoint/{deployment}/variant/{variant}"


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """AWS's usual spelling of tags, sorted by key."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
