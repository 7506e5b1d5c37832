"""What to paste when the endpoint is kept: the same call by the aws CLI, by boto3 and by curl."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

CONTENT_TYPE = "application/json; format=pandas-split"


def commands(*, endpoint: str, url: str, request: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Ready-to-paste calls of the endpoint, and how to end it all."""
    block = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in environment.items())
    body = shlex.quote(request)
    return {
        "environment": block,
        "aws": (
            f"aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint} \\\n"
            f"  --content-type {shlex.quote(CONTENT_TYPE)} --body fileb:///dev/stdin /dev/stdout \\\n"
            f"  <<< {body}"
        ),
        "boto3": (
            "import boto3\n"
            "answer = boto3.client('sagemaker-runtime').invoke_endpoint(\n"
            f"    EndpointName={endpoint!r}, ContentType={CONTENT_TYPE!r},\n"
            f"    Body={request!r})\n"
            "print(answer['Body'].read())"
        ),
        "curl": (
            f"curl -s {url}/endpoints/{endpoint}/invocations \\\n"
            f"  -H {shlex.quote('Content-Type: ' + CONTENT_TYPE)} -d {body}"
        ),
        "end": "penstock quickstart --clean",
    }
