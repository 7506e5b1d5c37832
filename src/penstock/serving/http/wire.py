"""A response's bytes on the wire, and errors as JSON responses."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

import msgspec

from penstock.ground.errors import PenstockError
from penstock.serving.http.types import Refused, Response

JSON_TYPE = ("content-type", "application/json")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS = {204, 304}
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


def json_response(value: object, status: int = 200) -> Response:
    """``value`` as a JSON response."""
    return Response(status, msgspec.json.encode(value), [JSON_TYPE])


def error_response(error: Exception, *, request_id: str | None = None) -> Response:
    """The JSON response of ``error``: {"error_code", "message"} and, where one is given, "request_id".

    A PenstockError carries its own status and says its own words; anything else is a 500 that says none.
    """
    if isinstance(error, Refused):
        body = {"error_code": HTTPStatus(error.status).name, "message": error.message}
        return json_response(body if request_id is None else {**body, "request_id": request_id}, error.status)
    if isinstance(error, PenstockError):
        body = {"error_code": error.code, "message": str(error)}
        return json_response(body if request_id is None else {**body, "request_id": request_id}, error.http_status)
    body = {"error_code": "INTERNAL_ERROR", "message": "The server failed. Look for the request id in its log."}
    return json_response({**body, "request_id": request_id or ""}, 500)


def head_bytes(response: Response, *, method: str, length: int | None, close: bool, version: str, date: str) -> bytes:
    """The status line and header section. ``length`` None means: not known, so chunked (1.1) or until close (1.0).

    Raises ValueError for a header that holds a line break.
    """
    status = response.status
    if length is not None and not close and version == "1.1" and len(response.headers) == 1:
        start = _usual_start(status, *response.headers[0])
        if start is not None:
            return b"%b%d\r\n%b\r\n" % (start, length, date.encode())
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    has_length = status in _BODILESS
    for name, value in response.headers:
        lines.append(f"{name}: {value}\r\n")
        if len(name) == 14 and name.lower() == "content-length":
            has_length = True
    if not has_length:
        if length is not None:
            lines.append(f"content-length: {length}\r\n")
        elif version == "1.1":
            lines.append("transfer-encoding: chunked\r\n")
    lines.append(date)
    if close:
        lines.append("connection: close\r\n")
    elif version == "1.0":
        lines.append("connection: keep-alive\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError(f"a header of this {status} response to {method} holds a line break")
    return (text + "\r\n").encode("latin-1")


@lru_cache(maxsize=256)
def _usual_start(status: int, name: str, value: str) -> bytes | None:
    """A head up to its length, for an answer with one field; None where that field needs a closer look."""
    if status in _BODILESS or name.lower() == "content-length" or not (name + value).isprintable():
        return None
    line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    return f"{line}{name}: {value}\r\ncontent-length: ".encode("latin-1")


def may_have_body(method: str, status: int) -> bool:
    """Whether a body follows the head of this response (RFC 9110, 6.4.1)."""
    return method != "HEAD" and status not in _BODILESS


def chunk_bytes(piece: bytes) -> bytes:
    """``piece`` as one chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


LAST_CHUNK = b"0\r\n\r\n"
