"""Which service a request is for: by its path, its target header, and the credential scope it was signed with."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from penstock.serving.http.types import RequestHead

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_QUERY_SCOPE = re.compile(r"X-Amz-Credential=([^&]+?)(?:/|%2F)\d{8}(?:/|%2F)([a-z0-9-]+)(?:/|%2F)([a-z0-9-]+)")
_LOOPBACK = re.compile(r"(?:127(?:\.\d{1,3}){3}|\[::1\]|(?:[a-z0-9.-]+\.)?localhost)(?::\d+)?", re.IGNORECASE)
_TARGETS = {
    "SageMaker": "sagemaker",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "AnyScaleFrontendService": "application-autoscaling",
    "Logs_20140328": "logs",
    "GraniteServiceVersion20100801": "monitoring",
}


class Destination(msgspec.Struct, frozen=True):
    """``service`` is a signing name, or "registry", "runtime", "plane". ``region`` is None for an unsigned request."""

    service: str
    operation: str = ""
    region: str | None = None


@lru_cache(maxsize=256)
def is_loopback_host(host: str | None) -> bool:
    """Whether a Host header names this machine; a web page's rebound name does not."""
    return host is not None and _LOOPBACK.fullmatch(host) is not None


def destination_of(head: RequestHead) -> Destination:
    """Where a request is to go."""
    authorization = head.headers.get("authorization") or ""
    scope = _SCOPE.search(authorization) or _QUERY_SCOPE.search(head.query)
    region, service = (scope[2], scope[3]) if scope else (None, "")
    prefix, _, operation = (head.headers.get("x-amz-target") or "").partition(".")
    if prefix in _TARGETS:
        return Destination(_TARGETS[prefix], operation, region)
    if service != "s3":
        own = _own_path(head.path)
        if own is not None:
            return Destination(own, "", region)
    if service:
        return Destination(service, "", region)
    return Destination(_unsigned(head), "", region)


def is_runtime(head: RequestHead) -> bool:
    """Whether a request is surely an invocation, told without taking its signature apart."""
    signature = head.headers.raw.get(b"authorization", b"")
    return head.path.startswith("/endpoints/") and b"/s3/aws4_request" not in signature and not head.query


def runtime_region(head: RequestHead) -> str | None:
    """The region that an invocation was signed for, e.g. of ``Credential=key/20260101/eu-west-1/sagemaker/...``."""
    parts = head.headers.raw.get(b"authorization", b"").split(b"/", 4)
    return parts[2].decode("latin-1") if len(parts) == 5 else None


def _own_path(path: str) -> str | None:
    if path in ("/v2", "/v2/") or path.startswith("/v2/"):
        return "registry"
    if path.startswith("/endpoints/"):
        return "runtime"
    return "plane" if path.startswith("/_penstock/") else None


def _unsigned(head: RequestHead) -> str:
    """Without a signature only S3's and CloudWatch's paths tell something; anything else is S3's."""
    return "monitoring" if head.path.startswith("/service/GraniteServiceVersion20100801/") else "s3"
