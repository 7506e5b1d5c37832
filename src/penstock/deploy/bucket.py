"""The bucket of model archives, and the archives in it."""

from __future__ import annotations

from typing import Any

from penstock.deploy.kinds import Making
from penstock.deploy.resources import SHARED_TAG, tag_list
from penstock.deploy.session import AwsSession
from penstock.deploy.translate import aws_errors
from penstock.ground.errors import Conflict, Forbidden, IntegrityError

_CLASSIC_REGION = "us-east-1"


class BucketKind:
    """Buckets that we make: private, encrypted, in the endpoint's region."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        aws = making.aws
        if not self.exists(making, name):
            place = (
                {}
                if aws.region == _CLASSIC_REGION
                else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
            )
            aws.find("s3", "create_bucket", Bucket=name, **place)
        aws.call("s3", "put_public_access_block", Bucket=name, PublicAccessBlockConfiguration=_PRIVATE)
        aws.call("s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": tag_list({SHARED_TAG: "true"})})

    def remove(self, making: Making, name: str) -> None:
        """Removes the bucket if it is empty."""
        try:
            making.aws.find("s3", "delete_bucket", Bucket=name)
        except Conflict:
            return  # Another deployment's archives are in it.

    def exists(self, making: Making, name: str) -> bool:
        return bucket_region(making.aws, name) is not None


class ArchiveKind:
    """Model archives; the name is the s3:// URL."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        bucket, key = split_url(name)
        path = making.materials.archives.get(spec["sha256"])
        if path is None:
            raise IntegrityError(
                f"The archive {spec['sha256'][:16]} is not at hand.", fix="Run the deploy from its model again."
            )
        with path.open("rb") as body, aws_errors("PutObject"):
            # Sends parts above 8 MB, so that an archive may exceed the 5 GB of a single request.
            making.aws.client("s3").upload_fileobj(
                body, bucket, key, ExtraArgs={"Metadata": {"sha256": spec["sha256"]}}
            )

    def remove(self, making: Making, name: str) -> None:
        bucket, key = split_url(name)
        making.aws.find("s3", "delete_object", Bucket=bucket, Key=key)

    def exists(self, making: Making, name: str) -> bool:
        bucket, key = split_url(name)
        return making.aws.find("s3", "head_object", Bucket=bucket, Key=key) is not None


def split_url(url: str) -> tuple[str, str]:
    """``s3://bucket/a/b`` as ``("bucket", "a/b")``."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def bucket_region(aws: AwsSession, bucket: str) -> str | None:
    """The region the bucket lies in; None when there is no such bucket. Raises Forbidden for somebody else's."""
    try:
        found = aws.find("s3", "head_bucket", Bucket=bucket)
    except Forbidden as error:
        fix = "Choose another with --bucket, or get rights on it."
        raise Forbidden(f"The bucket {bucket!r} is not ours to use.", fix=fix) from error
    return None if found is None else str(found.get("BucketRegion") or aws.region)


_PRIVATE = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
