"""Artifacts in an S3 bucket, at AWS or at any endpoint that speaks S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from penstock.artifacts.paths import join_path
from penstock.artifacts.port import Reading
from penstock.artifacts.streams import CheckedReader, GuardedReader, SliceReader, Source, Stream
from penstock.ground.entities import FileInfo
from penstock.ground.errors import Forbidden, InvalidInput, NotFound, PenstockError, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES = 8 << 20
_PARTS = 9_000  # S3 takes 10,000 parts of one object
_FORBIDDEN = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


def open_s3(uri: str, *, tracking_uri: str | None = None) -> S3Storage:
    """The storage under ``s3://bucket/prefix``. Raises InvalidInput.

    Credentials, region and endpoint are botocore's own; MLFLOW_S3_ENDPOINT_URL is honoured.
    """
    parts = urlsplit(uri)
    if not parts.netloc or parts.query or parts.fragment or ".." in parts.path.split("/"):
        raise InvalidInput(f"{uri!r} does not name a place in S3.", fix="Use s3://bucket/prefix.")
    client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None)
    return S3Storage(client, parts.netloc, parts.path.strip("/"))


class S3Storage:
    """The keys below ``prefix`` in ``bucket``."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self.client = client
        self.bucket = bucket
        self._prefix = prefix

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self._prefix}"

    def list(self, path: str) -> tuple[FileInfo, ...]:
        folder = f"{self.key(path)}/" if self.key(path) else ""
        found: dict[str, FileInfo] = {}
        for page in self._pages(folder, delimiter="/"):
            for group in page.get("CommonPrefixes", ()):
                name = group["Prefix"][len(folder) : -1]
                found[name] = FileInfo(path=join_path(path, name), is_dir=True)
            for entry in page.get("Contents", ()):
                name = entry["Key"][len(folder) :]
                if name:
                    found[name] = FileInfo(path=join_path(path, name), is_dir=False, size_bytes=entry["Size"])
        return tuple(found[name] for name in sorted(found))

    def find(self, path: str) -> FileInfo | None:
        if path:
            try:
                head = self.client.head_object(Bucket=self.bucket, Key=self.key(path))
                return FileInfo(path=path, is_dir=False, size_bytes=head["ContentLength"])
            except ClientError as error:
                if not isinstance(translated(error, self.uri), NotFound):
                    raise translated(error, self.uri) from error
        return FileInfo(path=path, is_dir=True) if self.list(path) else None

    def open(self, path: str, *, start_byte: int = 0, end_byte: int | None = None) -> Reading:
        try:
            head = self.client.head_object(Bucket=self.bucket, Key=self.key(path))
            size = head["ContentLength"]
            end = size if end_byte is None else min(end_byte, size)
            stream = self._body(path, start_byte, end, head["ETag"]) if start_byte < end else _Empty()
        except (ClientError, BotoCoreError) as error:
            raise translated(error, f"{self.uri}/{path}") from error
        return Reading(stream, size_bytes=size, start_byte=start_byte, version=head["ETag"].strip('"'), sha256=None)

    def _body(self, path: str, start_byte: int, end_byte: int, etag: str) -> Stream:
        asked: dict[str, Any] = {"Range": f"bytes={start_byte}-{end_byte - 1}"} if start_byte else {}
        answer = self.client.get_object(Bucket=self.bucket, Key=self.key(path), IfMatch=etag, **asked)
        body = GuardedReader(
            cast("Stream", answer["Body"]), f"The artifact {path!r}", (BotoCoreError, HTTPError, OSError)
        )
        return SliceReader(body, end_byte - start_byte)

    def write(self, path: str, source: Source, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        # boto3 adds a checksum to each part and S3 verifies it; the digest is of what left this machine.
        checked = CheckedReader(source, f"The artifact {path!r}", size_bytes=size_bytes, sha256=sha256)
        try:
            self.client.upload_fileobj(
                cast("Any", checked), self.bucket, self.key(path), Config=_transfer(size_bytes or 0)
            )
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            raise translated(error, f"{self.uri}/{path}") from error

    def delete(self, path: str) -> None:
        folder = f"{self.key(path)}/" if self.key(path) else ""
        for page in self._pages(folder):
            keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
            if keys:
                self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": cast("Any", keys), "Quiet": True})
        if path:
            self.client.delete_object(Bucket=self.bucket, Key=self.key(path))

    def key(self, path: str) -> str:
        """The object that keeps ``path``."""
        return join_path(self._prefix, path)

    def _pages(self, prefix: str, *, delimiter: str | None = None) -> Iterator[Any]:
        asked: dict[str, Any] = {"Delimiter": delimiter} if delimiter else {}
        try:
            yield from self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **asked)
        except (ClientError, BotoCoreError) as error:
            raise translated(error, self.uri) from error


def _transfer(size_bytes: int) -> TransferConfig:
    """Parts small enough for constant memory and few enough for S3."""
    part = max(_PART_BYTES, size_bytes // _PARTS)
    return TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=4)


class _Empty:
    def read(self, size: int = -1, /) -> bytes:
        return b""

    def close(self) -> None: ...


def translated(error: Exception, what: str) -> PenstockError:
    """boto3's error as one of ours."""
    code = str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
    if code in _ABSENT:
        return NotFound(f"There is nothing at {what} in S3.", fix="Check the bucket and the path.")
    if code in _FORBIDDEN:
        return Forbidden(f"S3 refused {what}: {error}.", fix="Check the credentials and the bucket's policy.")
    return Unavailable(f"S3 failed for {what}: {error}.", fix="Check the endpoint and try again.")
