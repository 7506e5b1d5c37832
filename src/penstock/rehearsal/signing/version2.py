"""Signature Version 2 of S3's presigned URLs, which boto3 still makes for the older regions unless told otherwise.

Source: S3 developer guide, "Signing and authenticating REST requests"; the query-string form only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, unquote

from penstock.rehearsal.signing.keys import Keys
from penstock.rehearsal.signing.reasons import Reason, SignatureRefused
from penstock.serving.http.types import RequestHead

# What of a query names a part of the resource, and so is signed.
_RESOURCE = frozenset({
    "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location",
    "logging", "metrics", "notification", "partNumber", "policy", "replication", "requestPayment",
    "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires", "restore", "select", "select-type",
    "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
})  # fmt: skip


def is_version_2(head: RequestHead) -> bool:
    return "AWSAccessKeyId=" in head.query and "Signature=" in head.query


def check_version_2(head: RequestHead, keys: Keys, *, now_s: float) -> str | None:
    """The ARN of who signed, None for the plane's own key. Raises SignatureRefused."""
    query = dict(parse_qsl(head.query, keep_blank_values=True))
    if not query.get("Expires", "").isdecimal():
        raise SignatureRefused(Reason.INCOMPLETE, "Query-string authentication requires the Expires parameter.")
    holder = keys.holder(query["AWSAccessKeyId"], query.get("x-amz-security-token"))
    if int(query["Expires"]) < now_s:
        raise SignatureRefused(Reason.EXPIRED)
    mac = hmac.new(holder.secret.encode(), canonical_string(head, query).encode(), hashlib.sha1)
    if not hmac.compare_digest(base64.b64encode(mac.digest()).decode(), query["Signature"]):
        raise SignatureRefused(Reason.WRONG)
    return holder.arn


def canonical_string(head: RequestHead, query: dict[str, str]) -> str:
    """The text that is signed: a presigned URL carries the headers that it binds in its query."""
    told = {name.lower(): value for name, value in query.items()}
    amz = {name: value for name, value in told.items() if name.startswith("x-amz-")}
    amz |= {name: value for name, value in head.headers.items() if name.startswith("x-amz-")}
    lines = [head.method, _told(head, told, "content-md5"), _told(head, told, "content-type"), query["Expires"]]
    lines += [f"{name}:{' '.join(value.split())}" for name, value in sorted(amz.items())]
    return "\n".join([*lines, _resource(head)])


def _told(head: RequestHead, told: dict[str, str], name: str) -> str:
    return told.get(name) or head.headers.get(name) or ""


def _resource(head: RequestHead) -> str:
    parts = [part.partition("=") for part in head.query.split("&") if part]
    kept = sorted((name, unquote(value), sign) for name, sign, value in parts if name in _RESOURCE)
    rows = "&".join(f"{name}={value}" if sign else name for name, value, sign in kept)
    return head.path + (f"?{rows}" if rows else "")
