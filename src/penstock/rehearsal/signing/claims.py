"""What a request says of its signature: taken from its Authorization header or from its query string."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from penstock.rehearsal.signing.reasons import Reason, SignatureRefused
from penstock.rehearsal.signing.sigv4 import ALGORITHM, Claim, Scope
from penstock.serving.http.types import RequestHead

_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_TIME = re.compile(r"\d{8}T\d{6}Z")
_LONGEST_S = 7 * 24 * 3600


def find_claim(head: RequestHead) -> Claim | None:
    """The request's claim; None for an unsigned request, or one that is signed by an older method.

    Raises SignatureRefused for a claim that lacks something.
    """
    authorization = head.headers.get("authorization")
    if authorization is not None and authorization.startswith(ALGORITHM):
        return _from_header(head, authorization)
    query = dict(parse_qsl(head.query, keep_blank_values=True)) if "X-Amz-" in head.query else {}
    if "X-Amz-Signature" in query or "X-Amz-Credential" in query:
        return _from_query(query)
    return None


def _from_header(head: RequestHead, authorization: str) -> Claim:
    parts = dict(_PART.findall(authorization))
    lacking = [name for name in ("Credential", "SignedHeaders", "Signature") if name not in parts]
    timestamp = head.headers.get("x-amz-date") or ""
    if lacking or not _TIME.fullmatch(timestamp):
        what = " ".join(f"Authorization header requires '{name}' parameter." for name in lacking)
        raise SignatureRefused(Reason.INCOMPLETE, what or "Authorization header requires existence of 'X-Amz-Date'.")
    key, scope = _credential(parts["Credential"])
    return Claim(
        access_key=key, scope=scope, signed_headers=tuple(parts["SignedHeaders"].split(";")),
        signature=parts["Signature"], timestamp=timestamp, token=head.headers.get("x-amz-security-token"),
    )  # fmt: skip


def _from_query(query: dict[str, str]) -> Claim:
    needed = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Expires")
    lacking = [name for name in needed if not query.get(name)]
    expires = query.get("X-Amz-Expires", "")
    if lacking or query.get("X-Amz-Algorithm") != ALGORITHM or not _TIME.fullmatch(query["X-Amz-Date"]):
        raise SignatureRefused(
            Reason.INCOMPLETE, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )  # fmt: skip
    if not expires.isdecimal() or not 1 <= int(expires) <= _LONGEST_S:
        raise SignatureRefused(Reason.INCOMPLETE, "X-Amz-Expires must be between 1 and 604800 seconds.")
    key, scope = _credential(query["X-Amz-Credential"])
    return Claim(
        access_key=key, scope=scope, signed_headers=tuple(query["X-Amz-SignedHeaders"].split(";")),
        signature=query["X-Amz-Signature"], timestamp=query["X-Amz-Date"],
        token=query.get("X-Amz-Security-Token"), expires_s=int(expires),
    )  # fmt: skip


def _credential(text: str) -> tuple[str, Scope]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise SignatureRefused(
            Reason.INCOMPLETE, "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/aws4_request.",
        )  # fmt: skip
    return parts[0], Scope(parts[1], parts[2], parts[3])
