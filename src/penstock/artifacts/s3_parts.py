"""Signed URLs of S3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from penstock.artifacts.parts import Part, PartTarget
from penstock.artifacts.s3 import S3Storage, open_s3, translated

PART_SECONDS = 24 * 3600


def open_s3_parts(uri: str) -> S3Parts:
    """The storage under ``s3://bucket/prefix``, as one that signs URLs."""
    return S3Parts(open_s3(uri))


class S3Parts:
    """An S3 storage that signs URLs for its objects."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self._client = storage.client

    def create(self, path: str, count: int) -> tuple[str, tuple[PartTarget, ...]]:
        where = {"Bucket": self._storage.bucket, "Key": self._storage.key(path)}
        with self._errors(path):
            upload_id = self._client.create_multipart_upload(Bucket=where["Bucket"], Key=where["Key"])["UploadId"]
            targets = tuple(
                PartTarget(
                    number,
                    self._client.generate_presigned_url(
                        "upload_part",
                        Params={**where, "PartNumber": number, "UploadId": upload_id},
                        ExpiresIn=PART_SECONDS,
                    ),
                )
                for number in range(1, count + 1)
            )
        return upload_id, targets

    def complete(self, path: str, upload_id: str, parts: Sequence[Part]) -> None:
        with self._errors(path):
            self._client.complete_multipart_upload(
                Bucket=self._storage.bucket,
                Key=self._storage.key(path),
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
            )

    def abort(self, path: str, upload_id: str) -> None:
        with self._errors(path):
            self._client.abort_multipart_upload(
                Bucket=self._storage.bucket, Key=self._storage.key(path), UploadId=upload_id
            )

    def download_url(self, path: str, *, seconds: int) -> tuple[str, int]:
        where = {"Bucket": self._storage.bucket, "Key": self._storage.key(path)}
        with self._errors(path):
            size_bytes = self._client.head_object(Bucket=where["Bucket"], Key=where["Key"])["ContentLength"]
            return self._client.generate_presigned_url("get_object", Params=where, ExpiresIn=seconds), size_bytes

    def upload_url(self, path: str, *, seconds: int) -> str:
        where = {"Bucket": self._storage.bucket, "Key": self._storage.key(path)}
        with self._errors(path):
            return self._client.generate_presigned_url("put_object", Params=where, ExpiresIn=seconds)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise translated(error, f"{self._storage.uri}/{path}") from error
