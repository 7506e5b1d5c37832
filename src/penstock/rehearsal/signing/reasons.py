"""Why a signature is refused, and what each protocol of AWS calls it: codes, statuses, bodies."""

from __future__ import annotations

from enum import StrEnum

from penstock.rehearsal.refusals import QUERY, REST, S3, protocol_of, refuse
from penstock.rehearsal.wire.exceptions import AwsError
from penstock.serving.http.types import RequestHead, Response


class Reason(StrEnum):
    MISSING = "missing"
    INCOMPLETE = "incomplete"
    UNKNOWN_KEY = "unknown key"
    BAD_TOKEN = "bad token"
    EXPIRED_TOKEN = "expired token"
    WRONG = "wrong"
    SKEWED = "skewed"
    EXPIRED = "expired"
    CONTENT = "content"
    UNSIGNED_HEADERS = "unsigned headers"
    DENIED = "denied"


class SignatureRefused(Exception):
    """A request whose signature does not hold."""

    def __init__(self, reason: Reason, message: str = "") -> None:
        super().__init__(message or _MESSAGES[reason])
        self.reason = reason
        self.message = message or _MESSAGES[reason]


_TOKEN = "The security token included in the request is invalid."
_MESSAGES = {
    Reason.MISSING: "Missing Authentication Token",
    Reason.INCOMPLETE: "The request signature does not conform to AWS standards.",
    Reason.UNKNOWN_KEY: _TOKEN,
    Reason.BAD_TOKEN: _TOKEN,
    Reason.EXPIRED_TOKEN: "The security token included in the request is expired",
    Reason.WRONG: "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.",
    Reason.SKEWED: "The difference between the request time and the current time is too large.",
    Reason.EXPIRED: "Request has expired",
    Reason.CONTENT: "The provided 'x-amz-content-sha256' header does not match what was computed.",
    Reason.UNSIGNED_HEADERS: "There were headers present in the request which were not signed",
    Reason.DENIED: "Access Denied",
}
_JSON = {
    Reason.MISSING: "MissingAuthenticationTokenException",
    Reason.INCOMPLETE: "IncompleteSignatureException",
    Reason.UNKNOWN_KEY: "UnrecognizedClientException",
    Reason.BAD_TOKEN: "UnrecognizedClientException",
    Reason.EXPIRED_TOKEN: "ExpiredTokenException",
    Reason.DENIED: "AccessDeniedException",
}
_QUERY = {
    Reason.MISSING: "MissingAuthenticationToken",
    Reason.INCOMPLETE: "IncompleteSignature",
    Reason.UNKNOWN_KEY: "InvalidClientTokenId",
    Reason.BAD_TOKEN: "InvalidClientTokenId",
    Reason.EXPIRED_TOKEN: "ExpiredToken",
    Reason.DENIED: "AccessDenied",
}
_S3 = {
    Reason.MISSING: ("AccessDenied", 403),
    Reason.INCOMPLETE: ("AuthorizationHeaderMalformed", 400),
    Reason.UNKNOWN_KEY: ("InvalidAccessKeyId", 403),
    Reason.BAD_TOKEN: ("InvalidToken", 400),
    Reason.EXPIRED_TOKEN: ("ExpiredToken", 400),
    Reason.WRONG: ("SignatureDoesNotMatch", 403),
    Reason.SKEWED: ("RequestTimeTooSkewed", 403),
    Reason.EXPIRED: ("AccessDenied", 403),
    Reason.CONTENT: ("XAmzContentSHA256Mismatch", 400),
    Reason.UNSIGNED_HEADERS: ("AccessDenied", 403),
    Reason.DENIED: ("AccessDenied", 403),
}
_S3_MESSAGES = {
    Reason.MISSING: "Access Denied",
    Reason.UNKNOWN_KEY: "The AWS Access Key Id you provided does not exist in our records.",
    Reason.BAD_TOKEN: "The provided token is malformed or otherwise invalid.",
    Reason.EXPIRED_TOKEN: "The provided token has expired.",
}


def refusal(head: RequestHead, service: str, refused: SignatureRefused, request_id: str) -> Response:
    """The answer in the protocol that the client speaks; ``service`` is the destination's name."""
    protocol = protocol_of(head, service)
    return refuse(protocol, _error(protocol, refused.reason, refused.message), request_id)


def _error(protocol: str, reason: Reason, message: str) -> AwsError:
    if protocol == S3:
        code, status = _S3[reason]
        shown = _S3_MESSAGES.get(reason, message) if message == _MESSAGES[reason] else message
        return AwsError(code, shown, status=status)
    if protocol == QUERY:
        status = 400 if reason is Reason.INCOMPLETE else 403
        return AwsError(_QUERY.get(reason, "SignatureDoesNotMatch"), message, status=status)
    code = _JSON.get(reason, "InvalidSignatureException")
    return AwsError(code, message, status=403 if protocol == REST else 400)
