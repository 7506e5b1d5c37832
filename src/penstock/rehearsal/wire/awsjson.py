"""AWS JSON 1.0 and 1.1: a request's operation and parameters, an answer's bytes, an error's bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.rehearsal.wire.exceptions import AwsError, serialization

CONTENT_TYPE = "application/x-amz-json-1.1"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One operation as somebody called it. ``now_ms`` is the plane's clock when it came in."""

    service: str
    operation: str
    parameters: dict[str, Any]
    region: str
    account: str
    request_id: str
    now_ms: int


def decode(body: bytes) -> Any:
    """The JSON document of a request; an empty body is an empty document. Raises AwsError."""
    if not body:
        return {}
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise serialization(f"The request body is not JSON: {error}") from error


def encode(answer: dict[str, Any]) -> bytes:
    """An answer's bytes, without the members that are None."""
    return msgspec.json.encode({name: value for name, value in answer.items() if value is not None})


def encode_error(error: AwsError) -> bytes:
    told = {"__type": error.code, "message": error.message, "Message": error.message}
    return msgspec.json.encode({**told, **error.members})


def epoch(ms: int) -> float:
    """Milliseconds as the epoch seconds that AWS JSON carries, e.g. 1_500 is 1.5."""
    return ms / 1000
