"""The runtime's errors, as InvokeEndpoint answers them."""

from __future__ import annotations

import msgspec

from penstock.rehearsal.wire.exceptions import AwsError
from penstock.serving.http.types import Response


def endpoint_missing(name: str, account: str) -> AwsError:
    return AwsError("ValidationError", f"Endpoint {name} of account {account} not found.")


def variant_missing(variant: str, endpoint: str) -> AwsError:
    return AwsError("ValidationError", f"Variant {variant} not found for endpoint {endpoint}.")


def wrong_request(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def model_not_ready(what: str) -> AwsError:
    """A model that is still being loaded, or a serverless container that is still starting."""
    return AwsError("ModelNotReadyException", f"{what} is not ready yet. Try again in a moment.", status=429)


def component_needed() -> AwsError:
    return wrong_request(
        "Inference Component Name header is required for endpoints to which you plan to deploy inference components. "
        "Please include Inference Component Name header or consider using SageMaker models."
    )


def component_missing(name: str, endpoint: str) -> AwsError:
    return wrong_request(f"Inference Component {name} not found for endpoint {endpoint}.")


def no_copies() -> AwsError:
    return wrong_request(
        "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if "
        "configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
    )


def oversize(request_id: str) -> AwsError:
    return AwsError("ValidationError", f"Request {request_id} has oversize body.", status=413)


def only_asynchronous(endpoint: str) -> AwsError:
    return AwsError("ValidationError", f"Endpoint {endpoint} is asynchronous; call InvokeEndpointAsync.")


def throttled(endpoint: str) -> AwsError:
    """A serverless endpoint whose MaxConcurrency requests are all under way."""
    return AwsError("ThrottlingException", f"Rate exceeded: {endpoint} has no concurrency left.", status=429)


def not_serving(name: str) -> AwsError:
    return AwsError("ServiceUnavailable", f"The endpoint {name} has no instance in service.", status=503)


def model_error(
    status: int, said: str, *, region: str, account: str, group: str, stream_arn: str, origin: str = "primary"
) -> AwsError:
    """What a 4xx, a 5xx or no answer (``status`` 0) of the container becomes: 424, which no client repeats."""
    side = "client" if 400 <= status < 500 else "server"
    url = (
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
    )  # fmt: skip
    message = (
        f'Received {side} error ({status}) from {origin} with message "{said}". '
        f"See {url} in account {account} for more information."
    )
    members = {"OriginalStatusCode": status, "OriginalMessage": said, "LogStreamArn": stream_arn}
    return AwsError("ModelError", message, status=424, members=members)


def error_response(error: AwsError, request_id: str) -> Response:
    """REST-JSON: the code in a header, the rest in the body."""
    body = msgspec.json.encode({"Message": error.message, "message": error.message, **error.members})
    headers = [
        ("content-type", "application/json"),
        ("x-amzn-errortype", error.code),
        ("x-amzn-requestid", request_id),
    ]
    return Response(error.status, body, headers)
