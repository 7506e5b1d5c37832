"""Signature Version 4, computed: the canonical request, the key, and the signatures of a request and of its chunks.

Source: IAM user guide, "Create a signed AWS API request"; S3 API reference, "Signature calculations for the
Authorization header: transferring payload in multiple chunks". Pure; botocore's signer is its oracle in the tests.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from collections.abc import Iterable
from urllib.parse import quote, unquote

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
_SAFE = "-_.~"


class Scope(msgspec.Struct, frozen=True):
    """A credential scope, e.g. ``20260101/us-east-1/sagemaker/aws4_request``."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of its own signature.

    ``timestamp`` is ``YYYYMMDDTHHMMSSZ``; only a presigned URL has ``expires_s``.
    """

    access_key: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    token: str | None = None
    expires_s: int | None = None


def canonical_request(
    *, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], payload_hash: str, service: str
) -> str:
    """The text that is signed. ``path`` and ``query`` are as sent; ``headers`` are the signed ones, in their order."""
    pairs = list(headers)
    lines = [f"{name}:{' '.join(value.split())}\n" for name, value in pairs]
    names = ";".join(name for name, _ in pairs)
    return "\n".join(
        [method, _canonical_path(path, service), _canonical_query(query), "".join(lines), names, payload_hash]
    )


def signature(secret: str, claim: Claim, canonical: str) -> str:
    """The signature in hexadecimal of a canonical request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join([ALGORITHM, claim.timestamp, str(claim.scope), digest])
    return _mac(signing_key(secret, claim.scope), text).hex()


def chunk_signature(key: bytes, claim: Claim, previous: str, content: bytes) -> str:
    """The signature of one chunk of an aws-chunked body; ``previous`` is the one before, the request's own at first."""
    digest = hashlib.sha256(content).hexdigest()
    text = "\n".join([f"{ALGORITHM}-PAYLOAD", claim.timestamp, str(claim.scope), previous, EMPTY_HASH, digest])
    return _mac(key, text).hex()


def trailer_signature(key: bytes, claim: Claim, previous: str, trailer: bytes) -> str:
    """The signature of the trailing fields, each as ``name:value\\n``."""
    digest = hashlib.sha256(trailer).hexdigest()
    text = "\n".join([f"{ALGORITHM}-TRAILER", claim.timestamp, str(claim.scope), previous, digest])
    return _mac(key, text).hex()


def signing_key(secret: str, scope: Scope) -> bytes:
    """The key of one day, region and service."""
    key = _mac(f"AWS4{secret}".encode(), scope.date)
    for part in (scope.region, scope.service, "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _canonical_path(path: str, service: str) -> str:
    """S3 signs the path as it was sent; everybody else the normal path, encoded once more."""
    if service == "s3":
        return path or "/"
    normal = posixpath.normpath(path) if path else "/"
    normal = "/" + normal.lstrip("/")
    return quote(normal + ("/" if path.endswith("/") and normal != "/" else ""), safe="/" + _SAFE)


def _canonical_query(query: str) -> str:
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    again = sorted((_encoded(name), _encoded(value)) for name, value in pairs if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in again)


def _encoded(text: str) -> str:
    return quote(unquote(text, "latin-1"), safe=_SAFE, encoding="latin-1")
