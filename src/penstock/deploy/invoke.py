"""Calling an endpoint, and telling a model's own error from everybody else's."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError
from msgspec import Struct

from penstock.deploy.diagnose import diagnose
from penstock.deploy.logs import tail
from penstock.deploy.session import AwsSession
from penstock.ground.errors import ModelFailed

_LOG_LINES = 20


class Answer(Struct, frozen=True, kw_only=True):
    """What an endpoint answered. ``latency_ms`` is the caller's, network included."""

    body: bytes
    content_type: str
    variant: str
    latency_ms: float


def invoke(
    aws: AwsSession,
    name: str,
    body: bytes,
    *,
    content_type: str = "application/json",
    accept: str | None = None,
    variant: str | None = None,
) -> Answer:
    """The endpoint's answer to ``body``. Source: SageMaker Runtime InvokeEndpoint.

    Raises ModelFailed with the container's last lines when the model raised, NotFound when there is no endpoint.
    """
    optional = {"Accept": accept, "TargetVariant": variant}
    given = {key: value for key, value in optional.items() if value}
    begun = time.perf_counter()
    try:
        found = aws.call(
            "sagemaker-runtime", "invoke_endpoint", EndpointName=name, Body=body, ContentType=content_type, **given
        )
    except ModelFailed as error:
        raise _model_failed(aws, name, error) from error
    content = found["Body"].read()
    return Answer(
        body=content,
        content_type=str(found.get("ContentType", "")),
        variant=str(found.get("InvokedProductionVariant", "")),
        latency_ms=(time.perf_counter() - begun) * 1000,
    )


def _model_failed(aws: AwsSession, name: str, error: ModelFailed) -> ModelFailed:
    said = _original(error)
    lines = [line.text for line in tail(aws, name, _LOG_LINES)]
    found = diagnose(error.message, lines if "(5" in error.message else ())
    log = "".join(f"\n    {line}" for line in lines[-5:])
    return ModelFailed(
        f"The model answered {said}." + (f"\n  The container's last lines:{log}\n" if log else ""),
        fix=found.fix() if found else f"Next: `penstock logs {name}`.",
    )


def _original(error: ModelFailed) -> str:
    """The container's status and message, as the runtime hands them on."""
    cause = error.__cause__
    response: dict[str, Any] = dict(cause.response) if isinstance(cause, ClientError) else {}
    status, message = response.get("OriginalStatusCode", "?"), response.get("OriginalMessage", error.message)
    return f"{status}: {message}"
