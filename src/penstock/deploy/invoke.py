"""Calling an endpoint, and telling a model's own error from everybody else's."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError
from msgspec import Struct

from penstock.deploy.bucket import split_url
from penstock.deploy.diagnose import diagnose
from penstock.deploy.logs import tail
from penstock.deploy.session import AwsSession
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import InvalidInput, ModelFailed, TimedOut
from penstock.ground.names import short_id

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
    except InvalidInput as error:
        if "async" not in error.message.lower():
            raise
        return invoke_async(aws, name, body, content_type=content_type)
    content = found["Body"].read()
    return Answer(
        body=content,
        content_type=str(found.get("ContentType", "")),
        variant=str(found.get("InvokedProductionVariant", "")),
        latency_ms=(time.perf_counter() - begun) * 1000,
    )


def invoke_async(
    aws: AwsSession, name: str, body: bytes, *, content_type: str = "application/json", timeout_s: float = 900.0,
    clock: Clock = SYSTEM_CLOCK,
) -> Answer:  # fmt: skip
    """The answer of an endpoint that answers into S3: the body is put beside its output, and fetched.

    Raises ModelFailed with what the failure object says, TimedOut after ``timeout_s``. Source: InvokeEndpointAsync.
    """
    found = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
    bucket, prefix = split_url(found["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"])
    key = "/".join(filter(None, [prefix.strip("/"), "penstock-calls", short_id(16)]))
    aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=body, ContentType=content_type)
    begun = time.perf_counter()
    places = aws.call(
        "sagemaker-runtime", "invoke_endpoint_async",
        EndpointName=name, InputLocation=f"s3://{bucket}/{key}", ContentType=content_type,
    )  # fmt: skip
    written = [f"s3://{bucket}/{key}", places["OutputLocation"], places.get("FailureLocation", "")]
    try:
        content, kind = _fetched(aws, name, written[1], written[2], timeout_s, clock)
    finally:
        for url in filter(None, written):
            aws.find("s3", "delete_object", **_place(url))
    return Answer(
        body=content, content_type=kind, variant="", latency_ms=(time.perf_counter() - begun) * 1000
    )  # fmt: skip


def _fetched(
    aws: AwsSession, name: str, output: str, failure: str, timeout_s: float, clock: Clock
) -> tuple[bytes, str]:
    """The answer's bytes and type, once there is one."""
    deadline_ms, pause_s = clock.now_ms() + int(timeout_s * 1000), 0.1
    while True:
        answer = aws.find("s3", "get_object", **_place(output))
        if answer is not None:
            return answer["Body"].read(), str(answer.get("ContentType", ""))
        failed = aws.find("s3", "get_object", **_place(failure)) if failure else None
        if failed is not None:
            said = failed["Body"].read().decode("utf-8", "replace")[:500]
            raise ModelFailed(f"The model did not answer: {said}", fix=f"Next: `penstock logs {name}`.")
        if clock.now_ms() > deadline_ms:
            raise TimedOut(f"{name!r} has not answered after {timeout_s:.0f} s.", fix=f"Look at {output} later.")
        clock.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 5.0)


def _place(url: str) -> dict[str, str]:
    bucket, key = split_url(url)
    return {"Bucket": bucket, "Key": key}


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
