"""Penstock's errors as MLflow's clients expect them."""

from __future__ import annotations

import msgspec

from penstock.ground.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    IntegrityError,
    InvalidInput,
    NotFound,
    NotImplementedHere,
    PenstockError,
    QuotaExceeded,
    StorageFailed,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from penstock.serving.http.types import Refused, Request, Response

JSON = [("content-type", "application/json")]
# MLflow answers 400 for a taken name. A permanent failure is never one of 429, 500, 502, 503, 504, which its client
# retries for minutes: a full disk is 507, a damaged upload 422.
TABLE: dict[type[PenstockError], tuple[int, str]] = {
    AlreadyExists: (400, "RESOURCE_ALREADY_EXISTS"),
    NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    InvalidInput: (400, "INVALID_PARAMETER_VALUE"),
    TooLarge: (413, "INVALID_PARAMETER_VALUE"),
    IntegrityError: (422, "BAD_REQUEST"),
    Conflict: (409, "ABORTED"),
    Unauthenticated: (401, "UNAUTHENTICATED"),
    Forbidden: (403, "PERMISSION_DENIED"),
    QuotaExceeded: (429, "RESOURCE_EXHAUSTED"),
    StorageFailed: (507, "DATA_LOSS"),
    Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
    TimedOut: (504, "DEADLINE_EXCEEDED"),
    NotImplementedHere: (501, "NOT_IMPLEMENTED"),
}
_REFUSED = {404: "ENDPOINT_NOT_FOUND", 413: "INVALID_PARAMETER_VALUE"}


def status_and_code(error: Exception) -> tuple[int, str]:
    """The HTTP status and MLflow's error code for ``error``."""
    if isinstance(error, Refused):
        return error.status, _REFUSED.get(error.status, "BAD_REQUEST")
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return 500, "INTERNAL_ERROR"


def render_error(error: Exception, _request: Request | None, request_id: str) -> Response:
    """The JSON answer for ``error``; a defect of our own is named by its request id and nothing else."""
    status, code = status_and_code(error)
    known = isinstance(error, Refused | PenstockError)
    message = str(error) if known else f"An internal error happened. The server's log knows it as {request_id}."
    body = msgspec.json.encode({"error_code": code, "message": message})
    return Response(status, body, list(JSON))
