"""A request against its signature: who signed it, or why the signature does not hold."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

from penstock.ground.clock import Clock
from penstock.rehearsal.signing.chunks import ChunkCheck, chunked, hashed
from penstock.rehearsal.signing.claims import find_claim
from penstock.rehearsal.signing.keys import Holder, Keys
from penstock.rehearsal.signing.reasons import Reason, SignatureRefused
from penstock.rehearsal.signing.sigv4 import Claim, canonical_request, signature, signing_key
from penstock.rehearsal.signing.version2 import check_version_2, is_version_2
from penstock.serving.http.types import Request, RequestHead

_SKEW_S = 5 * 60
_S3_SKEW_S = 15 * 60
UNSIGNED = "UNSIGNED-PAYLOAD"
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


class Verifier:
    """Checks requests with the account's keys and the plane's clock."""

    def __init__(self, keys: Keys, *, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def check(self, request: Request, service: str) -> str | None:
        """The ARN of who signed ``request``, or None for the plane's own key; ``service`` is the signing name.

        A body that streams is checked as it is read: its reader then meets the SignatureRefused.
        Raises SignatureRefused.
        """
        claim = find_claim(request)
        if claim is None:
            if service == "s3" and is_version_2(request):
                return check_version_2(request, self._keys, now_s=self._clock.now_ms() / 1000)
            raise SignatureRefused(Reason.MISSING)
        if claim.scope.service != service:
            raise SignatureRefused(Reason.WRONG, f"Credential should be scoped to correct service: '{service}'.")
        holder = self._keys.holder(claim.access_key, claim.token)
        self._check_time(claim, service)
        _check_headers(request, claim, service)
        payload_hash = _payload_hash(request, claim, service)
        canonical = canonical_request(
            method=request.method, path=request.path, query=request.query, headers=_signed(request, claim),
            payload_hash=payload_hash, service=service,
        )  # fmt: skip
        if not hmac.compare_digest(signature(holder.secret, claim, canonical), claim.signature):
            raise SignatureRefused(Reason.WRONG)
        _check_content(request, claim, holder, payload_hash)
        return holder.arn

    def _check_time(self, claim: Claim, service: str) -> None:
        signed = datetime.strptime(claim.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        now, allowed = self._clock.now_ms() / 1000, _S3_SKEW_S if service == "s3" else _SKEW_S
        if claim.expires_s is not None:
            if now > signed + claim.expires_s:
                raise SignatureRefused(Reason.EXPIRED)
            if signed > now + allowed:
                raise SignatureRefused(Reason.SKEWED)
        elif abs(now - signed) > allowed:
            raise SignatureRefused(Reason.SKEWED, "" if service == "s3" else _expired(claim, now))
        if claim.scope.date != claim.timestamp[:8]:
            raise SignatureRefused(Reason.WRONG, "Date in Credential scope does not match YYYYMMDD from ISO-8601.")


def _expired(claim: Claim, now: float) -> str:
    present = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"Signature expired: {claim.timestamp} is more than 5 minutes from {present}."


def _check_headers(head: RequestHead, claim: Claim, service: str) -> None:
    """The host must be signed, and with S3 every x-amz header."""
    present = [name for name, _ in head.headers.items()]
    needed = ["host", *(name for name in present if service == "s3" and name.startswith("x-amz-"))]
    if claim.expires_s is not None:
        needed = [name for name in needed if name != "x-amz-content-sha256"]
    if any(name not in claim.signed_headers for name in needed):
        raise SignatureRefused(Reason.UNSIGNED_HEADERS)


def _signed(head: RequestHead, claim: Claim) -> list[tuple[str, str]]:
    return [(name, head.headers.get(name) or "") for name in claim.signed_headers]


def _payload_hash(request: Request, claim: Claim, service: str) -> str:
    """The hash as it was signed: what S3's clients say it is, and of everybody else's body what it is."""
    told = request.headers.get("x-amz-content-sha256")
    if service == "s3":
        if claim.expires_s is not None:
            return UNSIGNED
        if told is None:
            raise SignatureRefused(Reason.INCOMPLETE, "Missing required header for this request: x-amz-content-sha256")
        return told
    return UNSIGNED if told == UNSIGNED else hashlib.sha256(request.body).hexdigest()


def _check_content(request: Request, claim: Claim, holder: Holder, payload_hash: str) -> None:
    """Holds the body against the hash that was signed; only S3's clients name one that was not computed here."""
    if payload_hash in (UNSIGNED, _UNSIGNED_TRAILER):
        return
    if payload_hash.startswith(_CHUNKED):
        check = ChunkCheck(
            signing_key(holder.secret, claim.scope), claim, trailer=payload_hash == f"{_CHUNKED}-TRAILER"
        )  # fmt: skip
        if request.stream is not None:
            request.stream = chunked(request.stream, check)
        else:
            check.feed(request.body)
            check.finish()
    elif request.stream is not None:
        request.stream = hashed(request.stream, payload_hash)
    elif hashlib.sha256(request.body).hexdigest() != payload_hash:
        raise SignatureRefused(Reason.CONTENT)
