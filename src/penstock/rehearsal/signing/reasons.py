"""Why a signature is refused, and what each protocol of AWS calls it: codes, statuses, bodies."""

from __future__ import annotations

import struct
from enum import StrEnum
from xml.sax.saxutils import escape

from penstock.rehearsal.traffic.errors import error_response
from penstock.rehearsal.wire import awsjson
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
    reason, message = refused.reason, refused.message
    if service == "s3":
        code, status = _S3[reason]
        if message == _MESSAGES[reason]:
            message = _S3_MESSAGES.get(reason, message)
        text = (
            f"<Error><Code>{code}</Code><Message>{escape(message)}</Message><RequestId>{request_id}</RequestId></Error>"
        )
        return _xml(status, text, request_id)
    if service == "runtime":
        error = AwsError(_JSON.get(reason, "InvalidSignatureException"), message, status=403)
        return error_response(error, request_id)
    if "x-amz-target" in head.headers:
        body = awsjson.encode_error(AwsError(_JSON.get(reason, "InvalidSignatureException"), message))
        return Response(400, body, [("content-type", awsjson.CONTENT_TYPE), ("x-amzn-requestid", request_id)])
    if "smithy-protocol" in head.headers:
        return _cbor(_JSON.get(reason, "InvalidSignatureException"), message, request_id)
    code = _QUERY.get(reason, "SignatureDoesNotMatch")
    error_xml = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    text = f"<ErrorResponse>{error_xml}<RequestId>{request_id}</RequestId></ErrorResponse>"
    return _xml(400 if reason is Reason.INCOMPLETE else 403, text, request_id)


def _xml(status: int, text: str, request_id: str) -> Response:
    content = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return Response(status, content, [("content-type", "text/xml"), ("x-amzn-requestid", request_id)])


def _cbor(code: str, message: str, request_id: str) -> Response:
    """Smithy RPC v2: a map of two texts."""
    content = b"\xa2" + b"".join(_cbor_text(text) for text in ("__type", code, "message", message))
    headers = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
    return Response(400, content, [*headers, ("x-amzn-requestid", request_id)])


def _cbor_text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("!BH", 0x79, len(content)) + content
