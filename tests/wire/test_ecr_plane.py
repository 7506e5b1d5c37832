"""ECR without the registry's protocol: layers and manifests by signed calls, policies, tags, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True
PART = 5 << 20
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def upload(ecr: Any, repository: str, content: bytes, *, part: int = PART, told: str | None = None) -> None:
    """A layer in parts."""
    upload_id = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    for first in range(0, len(content), part):
        piece = content[first : first + part]
        answer = ecr.upload_layer_part(
            repositoryName=repository, uploadId=upload_id, partFirstByte=first,
            partLastByte=first + len(piece) - 1, layerPartBlob=piece,
        )  # fmt: skip
        assert answer["lastByteReceived"] == first + len(piece) - 1
    ecr.complete_layer_upload(repositoryName=repository, uploadId=upload_id, layerDigests=[told or digest(content)])


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_an_image_pushed_by_signed_calls_alone_can_be_pulled(rehearsal: Rehearsal) -> None:
    ecr = rehearsal.client("ecr")
    ecr.create_repository(repositoryName="native/image")
    layer, config = os.urandom(PART + 1000), json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    for content in (layer, config):
        upload(ecr, "native/image", content)
    described = {
        "schemaVersion": 2, "mediaType": DOCKER,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config),
            "digest": digest(config),
        },
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer),
            "digest": digest(layer),
        }],
    }  # fmt: skip
    manifest = json.dumps(described)
    image = ecr.put_image(repositoryName="native/image", imageManifest=manifest, imageTag="v1")["image"]
    assert image["imageId"] == {"imageDigest": digest(manifest.encode()), "imageTag": "v1"}
    again = {"repositoryName": "native/image", "imageManifest": manifest, "imageTag": "v1"}
    assert code(ecr.put_image, **again) == "ImageAlreadyExistsException"
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    asked = urllib.request.Request(f"{rehearsal.info.url}/v2/native/image/manifests/v1")
    asked.add_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(asked) as answer:
        assert answer.read() == manifest.encode()
    url = ecr.get_download_url_for_layer(repositoryName="native/image", layerDigest=digest(layer))["downloadUrl"]
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == layer
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url.partition("?")[0])

    ecr.put_image_tag_mutability(repositoryName="native/image", imageTagMutability="IMMUTABLE")
    changed = {**again, "imageManifest": json.dumps(described, indent=1)}
    assert code(ecr.put_image, **changed) == "ImageTagAlreadyExistsException"


def test_uploads_that_are_not_whole_are_refused(rehearsal: Rehearsal) -> None:
    ecr = rehearsal.client("ecr")
    ecr.create_repository(repositoryName="uploads")
    here = {"repositoryName": "uploads"}
    assert code(ecr.initiate_layer_upload, repositoryName="nowhere") == "RepositoryNotFoundException"
    upload_id = ecr.initiate_layer_upload(**here)["uploadId"]
    part = {**here, "uploadId": upload_id, "partFirstByte": 3, "partLastByte": 5, "layerPartBlob": b"abc"}
    assert code(ecr.upload_layer_part, **part) == "InvalidLayerPartException"
    assert code(ecr.upload_layer_part, **{**part, "partFirstByte": 0}) == "InvalidLayerPartException"
    done = {**here, "uploadId": upload_id, "layerDigests": [digest(b"abc")]}
    assert code(ecr.complete_layer_upload, **done) == "EmptyUploadException"
    with pytest.raises(ecr.exceptions.InvalidLayerException):
        upload(ecr, "uploads", b"abc", told=digest(b"other"))
    with pytest.raises(ecr.exceptions.LayerPartTooSmallException):
        upload(ecr, "uploads", b"abcdef", part=3)
    upload(ecr, "uploads", b"abc")
    with pytest.raises(ecr.exceptions.LayerAlreadyExistsException):
        upload(ecr, "uploads", b"abc")
    nobody = {**done, "uploadId": "00000000-0000-0000-0000-000000000000"}
    assert code(ecr.complete_layer_upload, **nobody) == "UploadNotFoundException"
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": DOCKER, "layers": [],
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": digest(b"?")},
    })  # fmt: skip
    assert code(ecr.put_image, **here, imageManifest=manifest) == "LayersNotFoundException"
    assert code(ecr.put_image, **here, imageManifest="{") == "InvalidParameterException"
    assert code(ecr.get_download_url_for_layer, **here, layerDigest=digest(b"?")) == "LayersNotFoundException"


def test_policies_and_tags_are_kept(rehearsal: Rehearsal) -> None:
    ecr = rehearsal.client("ecr")
    arn = ecr.create_repository(repositoryName="kept", tags=[{"Key": "a", "Value": "1"}])["repository"]["repositoryArn"]
    rule = {
        "rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3},
        "action": {"type": "expire"},
    }  # fmt: skip
    lifecycle, policy = json.dumps({"rules": [rule]}), json.dumps({"Version": "2012-10-17", "Statement": []})
    assert code(ecr.get_lifecycle_policy, repositoryName="kept") == "LifecyclePolicyNotFoundException"
    ecr.put_lifecycle_policy(repositoryName="kept", lifecyclePolicyText=lifecycle)
    assert ecr.get_lifecycle_policy(repositoryName="kept")["lifecyclePolicyText"] == lifecycle
    ecr.delete_lifecycle_policy(repositoryName="kept")
    assert code(ecr.delete_lifecycle_policy, repositoryName="kept") == "LifecyclePolicyNotFoundException"
    assert code(ecr.get_repository_policy, repositoryName="kept") == "RepositoryPolicyNotFoundException"
    ecr.set_repository_policy(repositoryName="kept", policyText=policy)
    assert ecr.get_repository_policy(repositoryName="kept")["policyText"] == policy
    ecr.delete_repository_policy(repositoryName="kept")
    assert code(ecr.set_repository_policy, repositoryName="kept", policyText="{") == "InvalidParameterException"
    ecr.put_image_scanning_configuration(repositoryName="kept", imageScanningConfiguration={"scanOnPush": True})
    shown = ecr.describe_repositories(repositoryNames=["kept"])["repositories"][0]
    assert shown["imageScanningConfiguration"] == {"scanOnPush": True}
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "b", "Value": "2"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "b", "Value": "2"}]
    assert ecr.describe_registry()["registryId"] == rehearsal.info.account
    other = {"registryId": "999999999999", "repositoryName": "kept"}
    assert code(ecr.get_repository_policy, **other) == "RepositoryNotFoundException"
    assert code(ecr.start_image_scan, repositoryName="kept", imageId={"imageTag": "1"}) == "UnknownOperationException"
    assert code(ecr.create_repository, repositoryName="Upper") == "InvalidParameterException"
