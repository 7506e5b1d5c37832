"""ECR's own upload of layers, which needs a signature only: start, parts, end, and the manifest that names them.

Source: ECR API reference, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage; facts 3.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Any

from penstock.ground.errors import Conflict, IntegrityError, InvalidInput, NotFound, UnsupportedMedia
from penstock.oci.digests import DIGEST, digest_of
from penstock.oci.storage import UploadSession
from penstock.oci.types import decode_manifest
from penstock.rehearsal.ecr.repositories import Ecr, Repository, get_repository
from penstock.rehearsal.ecr.tokens import URL_MS
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import AwsError, serialization

PART_BYTES = 20 << 20
SMALLEST_PART_BYTES = 5 << 20


def initiate_layer_upload(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call).name
    return {"uploadId": str(uuid.UUID(ecr.storage.start_upload(repository).id)), "partSize": PART_BYTES}


def upload_layer_part(ecr: Ecr, call: Call) -> dict[str, Any]:
    """Adds a part; it must begin where the last one ended."""
    repository, upload = get_repository(ecr, call), _upload(ecr, call)
    first, last = call.parameters["partFirstByte"], call.parameters["partLastByte"]
    content = _blob(call.parameters["layerPartBlob"])
    if first != upload.size_bytes or last - first + 1 != len(content) or len(content) > PART_BYTES:
        raise _invalid_part(call, repository, upload)
    try:
        ecr.storage.append(upload, [content])
    except Conflict as error:
        raise _invalid_part(call, repository, upload) from error
    ecr.parts.add(upload.id, len(content))
    return {**_about(call, repository), "uploadId": call.parameters["uploadId"], "lastByteReceived": last}


def complete_layer_upload(ecr: Ecr, call: Call) -> dict[str, Any]:
    """Makes the upload a layer, if it is the one that it is said to be."""
    repository, upload = get_repository(ecr, call), _upload(ecr, call)
    digest = _digest(call.parameters["layerDigests"][0])
    if upload.size_bytes == 0:
        raise AwsError("EmptyUploadException", "The upload has no parts.")
    if ecr.storage.find_blob(repository.name, digest) is not None:
        ecr.storage.cancel_upload(upload)
        raise AwsError("LayerAlreadyExistsException", f"Layer with digest '{digest}' already exists.")
    sizes = ecr.parts.take(upload.id)
    if any(size < SMALLEST_PART_BYTES for size in sizes[:-1]):
        ecr.storage.cancel_upload(upload)
        raise AwsError("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size, but for the last.")
    try:
        ecr.storage.finish_upload(upload, digest)
    except IntegrityError as error:
        raise AwsError("InvalidLayerException", f"Layer digest '{digest}' is not that of what was uploaded.") from error
    return {**_about(call, repository), "uploadId": call.parameters["uploadId"], "layerDigest": digest}


def get_download_url_for_layer(ecr: Ecr, call: Call) -> dict[str, Any]:
    """A URL that reads the layer for an hour without any other right."""
    repository, digest = get_repository(ecr, call).name, call.parameters["layerDigest"]
    if not DIGEST.fullmatch(digest) or ecr.storage.find_blob(repository, digest) is None:
        raise AwsError("LayersNotFoundException", f"The layer with digest '{digest}' does not exist in '{repository}'.")
    path = ecr.tokens.signed_path(f"/v2/{repository}/blobs/{digest}", call.now_ms + URL_MS)
    return {"downloadUrl": f"http://{ecr.host}{path}", "layerDigest": digest}


def put_image(ecr: Ecr, call: Call) -> dict[str, Any]:
    """Keeps a manifest whose layers are here, under its tag if it has one."""
    repository, text = get_repository(ecr, call), call.parameters["imageManifest"]
    content, tag = text.encode(), call.parameters.get("imageTag")
    media_type = _media_type(content, call.parameters.get("imageManifestMediaType"))
    digest = digest_of(content)
    if call.parameters.get("imageDigest", digest) != digest:
        raise AwsError("ImageDigestDoesNotMatchException", f"The manifest's digest is '{digest}'.")
    _check_tag(ecr, repository, digest, tag)
    try:
        ecr.storage.put_manifest(repository.name, content, media_type=media_type, tag=tag)
    except NotFound as error:
        raise AwsError("LayersNotFoundException", str(error)) from error
    except (InvalidInput, UnsupportedMedia) as error:
        raise AwsError("InvalidParameterException", f"Invalid parameter at 'imageManifest': {error}") from error
    identity = {"imageDigest": digest, **({"imageTag": tag} if tag else {})}
    image = {"imageId": identity, "imageManifest": text, "imageManifestMediaType": media_type}
    return {"image": {**_about(call, repository), **image}}


def _check_tag(ecr: Ecr, repository: Repository, digest: str, tag: str | None) -> None:
    there = ecr.storage.find_manifest(repository.name, digest) is not None
    pointed = ecr.storage.tags(repository.name).get(tag or "")
    if (tag is None and there) or pointed == digest:
        raise AwsError("ImageAlreadyExistsException", f"Image with digest '{digest}' and tag '{tag}' already exists.")
    if pointed is not None and repository.mutability.startswith("IMMUTABLE"):
        raise AwsError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be overwritten "
            "because the repository is immutable.",
        )


def _media_type(content: bytes, given: str | None) -> str:
    try:
        return str(decode_manifest(content, media_type=given or "").media_type)
    except (InvalidInput, UnsupportedMedia) as error:
        raise AwsError("InvalidParameterException", f"Invalid parameter at 'imageManifest': {error}") from error


def _upload(ecr: Ecr, call: Call) -> UploadSession:
    given = call.parameters["uploadId"]
    try:
        return ecr.storage.upload(call.parameters["repositoryName"], given.replace("-", "").lower())
    except NotFound as error:
        raise AwsError("UploadNotFoundException", f"The upload '{given}' is not under way.") from error


def _invalid_part(call: Call, repository: Repository, upload: UploadSession) -> AwsError:
    members = {**_about(call, repository), "uploadId": call.parameters["uploadId"]}
    return AwsError(
        "InvalidLayerPartException",
        f"The layer part is not valid: the next must begin at byte {upload.size_bytes} and be what it says it is.",
        members={**members, "lastValidByteReceived": max(upload.size_bytes - 1, 0)},
    )


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise serialization(f"layerPartBlob is not base64: {error}") from error


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise AwsError("InvalidLayerException", f"'{text}' is not the digest of a layer.")
    return text


def _about(call: Call, repository: Repository) -> dict[str, str]:
    return {"registryId": call.account, "repositoryName": repository.name}
