"""ECR's images: listed, described, fetched and deleted out of the registry's storage."""

from __future__ import annotations

from typing import Any

from penstock.ground.errors import NotFound
from penstock.oci.digests import DIGEST
from penstock.oci.types import Manifest, RawManifest, decode_manifest
from penstock.rehearsal.ecr.repositories import Ecr, get_repository, page
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import AwsError


def list_images(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call).name
    status = call.parameters.get("filter", {}).get("tagStatus", "ANY")
    by_digest = _tags_by_digest(ecr, repository)
    rows = [{"imageDigest": digest, "imageTag": tag} for digest, tags in by_digest.items() for tag in tags]
    rows = rows if status != "UNTAGGED" else []
    if status != "TAGGED":
        rows += [{"imageDigest": digest} for digest, tags in by_digest.items() if not tags]
    return page("imageIds", rows, call)


def describe_images(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call).name
    wanted = call.parameters.get("imageIds")
    if wanted:
        digests = [_get_image(ecr, repository, identity, call).digest for identity in wanted]
    else:
        digests = ecr.storage.manifests(repository)
    tags = _tags_by_digest(ecr, repository)
    rows = [_detail(ecr, call, repository, digest, tags.get(digest, [])) for digest in dict.fromkeys(digests)]
    return page("imageDetails", rows, call)


def batch_get_image(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call).name
    images, failures = [], []
    for identity in call.parameters["imageIds"]:
        stored = _find_image(ecr, repository, identity)
        if stored is None:
            failures.append(_failure(identity))
            continue
        images.append({
            "registryId": call.account,
            "repositoryName": repository,
            "imageId": {**identity, "imageDigest": stored.digest},
            "imageManifest": stored.content.decode(),
            "imageManifestMediaType": stored.media_type,
        })  # fmt: skip
    return {"images": images, "failures": failures}


def batch_delete_image(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call).name
    deleted, failures = [], []
    for identity in call.parameters["imageIds"]:
        stored = _find_image(ecr, repository, identity)
        try:
            if stored is None:
                failures.append(_failure(identity))
                continue
            if "imageTag" in identity and len(_tags_by_digest(ecr, repository)[stored.digest]) > 1:
                ecr.storage.delete_tag(repository, identity["imageTag"])
            else:
                ecr.storage.delete_manifest(repository, stored.digest)
        except NotFound:  # somebody else deleted it meanwhile
            failures.append(_failure(identity))
            continue
        deleted.append({**identity, "imageDigest": stored.digest})
    return {"imageIds": deleted, "failures": failures}


def batch_check_layer_availability(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call).name
    layers, failures = [], []
    for digest in call.parameters["layerDigests"]:
        if not DIGEST.fullmatch(digest):
            failures.append(
                {"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": "not a digest"}
            )
            continue
        path = ecr.storage.find_blob(repository, digest)
        row: dict[str, Any] = {"layerDigest": digest, "layerAvailability": "AVAILABLE" if path else "UNAVAILABLE"}
        layers.append({**row, "layerSize": path.stat().st_size} if path else row)
    return {"layers": layers, "failures": failures}


def _tags_by_digest(ecr: Ecr, repository: str) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {digest: [] for digest in ecr.storage.manifests(repository)}
    for tag, digest in ecr.storage.tags(repository).items():
        tags.setdefault(digest, []).append(tag)
    return tags


def _find_image(ecr: Ecr, repository: str, identity: dict[str, str]) -> RawManifest | None:
    digest, tag = identity.get("imageDigest"), identity.get("imageTag")
    if digest is not None and not DIGEST.fullmatch(digest):
        return None
    stored = ecr.storage.find_manifest(repository, digest or tag or "")
    return None if stored and tag and ecr.storage.tags(repository).get(tag) != stored.digest else stored


def _get_image(ecr: Ecr, repository: str, identity: dict[str, str], call: Call) -> RawManifest:
    stored = _find_image(ecr, repository, identity)
    if stored is None:
        shown = ", ".join(f"{key}:'{value}'" for key, value in identity.items())
        raise AwsError(
            "ImageNotFoundException",
            f"The image with imageId {{{shown}}} does not exist within the repository with name '{repository}' "
            f"in the registry with id '{call.account}'",
        )
    return stored


def _failure(identity: dict[str, str]) -> dict[str, Any]:
    reason = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
    return {"imageId": identity, **reason}


def _detail(ecr: Ecr, call: Call, repository: str, digest: str, tags: list[str]) -> dict[str, Any]:
    stored = ecr.storage.find_manifest(repository, digest)
    if stored is None:
        return {"registryId": call.account, "repositoryName": repository, "imageDigest": digest}
    manifest = decode_manifest(stored.content, media_type=stored.media_type)
    detail: dict[str, Any] = {
        "registryId": call.account,
        "repositoryName": repository,
        "imageDigest": digest,
        "imageTags": tags,
        "imagePushedAt": (ecr.storage.directory / "blobs" / digest.partition(":")[2]).stat().st_mtime,
        "imageManifestMediaType": stored.media_type,
    }
    if isinstance(manifest, Manifest):
        detail["imageSizeInBytes"] = sum(layer.size_bytes for layer in manifest.layers)
        detail["artifactMediaType"] = manifest.config.media_type
    return detail
