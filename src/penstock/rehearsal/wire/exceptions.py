"""AWS's errors as AWS words them: one class that carries the wire's code and status, and the situations that raise it.

Wording is matched by tools on its beginning only, so every beginning here is AWS's own.
"""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """An error for an AWS client: ``code`` is what boto3 shows, ``status`` the HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 400, members: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members or {}


def invalid(message: str) -> AwsError:
    """The error for bad input, unknown names and taken names alike, which SageMaker all calls ValidationException."""
    return AwsError("ValidationException", message)


def missing(kind: str, arn: str) -> AwsError:
    """The error for a name that nothing answers to; ``kind`` is e.g. "endpoint configuration"."""
    return invalid(f'Could not find {kind} "{arn}".')


def taken(kind: str, arn: str) -> AwsError:
    return invalid(f'Cannot create already existing {kind} "{arn}".')


def in_progress(arn: str) -> AwsError:
    return invalid(f'Cannot update in-progress endpoint "{arn}".')


def unknown_operation(operation: str) -> AwsError:
    return AwsError("UnknownOperationException", f"The operation {operation} is not offered by this plane.")


def access_denied(message: str) -> AwsError:
    return AwsError("AccessDeniedException", message)


def serialization(message: str) -> AwsError:
    return AwsError("SerializationException", message)


def internal(request_id: str) -> AwsError:
    return AwsError("InternalFailure", f"The plane failed on request {request_id}; its log has the cause.", status=500)
