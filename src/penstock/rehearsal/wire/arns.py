"""The names AWS gives to what hosting makes, and their parts again."""

from __future__ import annotations

# The word in a SageMaker ARN of each kind of resource, and the words AWS's messages use for it.
KINDS = {
    "model": "model",
    "endpoint-config": "endpoint configuration",
    "endpoint": "endpoint",
    "transform-job": "transform job",
    "inference-component": "inference component",
}


def sagemaker_arn(kind: str, name: str, *, region: str, account: str) -> str:
    """The ARN of a hosting resource; AWS lowers the name's case in it."""
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def repository_arn(name: str, *, region: str, account: str) -> str:
    return f"arn:aws:ecr:{region}:{account}:repository/{name}"


def alarm_arn(name: str, *, region: str, account: str) -> str:
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"


def log_stream_arn(group: str, stream: str, *, region: str, account: str) -> str:
    return f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"
