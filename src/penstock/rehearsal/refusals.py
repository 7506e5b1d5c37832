"""An error in the protocol that its client speaks: S3's XML, the query protocol's, AWS JSON, REST-JSON or CBOR."""

from __future__ import annotations

from xml.sax.saxutils import escape

from penstock.rehearsal.traffic.errors import error_response
from penstock.rehearsal.wire import awsjson, cbor
from penstock.rehearsal.wire.exceptions import AwsError
from penstock.serving.http.types import RequestHead, Response

S3, QUERY, JSON, REST, CBOR = "s3", "query", "json", "rest", "cbor"


def protocol_of(head: RequestHead, service: str) -> str:
    """What the client of a request speaks; ``service`` is the destination's name."""
    if service in ("s3", "runtime"):
        return S3 if service == "s3" else REST
    if "x-amz-target" in head.headers:
        return JSON
    return CBOR if "smithy-protocol" in head.headers else QUERY


def refuse(protocol: str, error: AwsError, request_id: str) -> Response:
    """The answer that carries the error."""
    told = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    if protocol == REST:
        return error_response(error, request_id)
    if protocol == S3:
        return _xml(error.status, f"<Error>{told}<RequestId>{request_id}</RequestId></Error>", request_id)
    if protocol == QUERY:
        side = "Sender" if error.status < 500 else "Receiver"
        inner = f"<Error><Type>{side}</Type>{told}</Error><RequestId>{request_id}</RequestId>"
        return _xml(error.status, f"<ErrorResponse>{inner}</ErrorResponse>", request_id)
    if protocol == JSON:
        headers = [("content-type", awsjson.CONTENT_TYPE), ("x-amzn-requestid", request_id)]
        return Response(error.status, awsjson.encode_error(error), headers)
    return _cbor(error, request_id)


def _xml(status: int, text: str, request_id: str) -> Response:
    content = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return Response(status, content, [("content-type", "text/xml"), ("x-amzn-requestid", request_id)])


def _cbor(error: AwsError, request_id: str) -> Response:
    """Smithy RPC v2."""
    content = cbor.encode({"__type": error.code, "message": error.message}, None)
    headers = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
    return Response(error.status, content, [*headers, ("x-amzn-requestid", request_id)])
