"""One port: every request finds its service."""

from __future__ import annotations

import pytest

from penstock.rehearsal.dispatch import Destination, destination_of, is_loopback_host
from penstock.serving.http.types import Headers, RequestHead


def head(path: str = "/", *, service: str = "", region: str = "eu-west-1", target: str = "") -> RequestHead:
    fields = {}
    if service:
        fields["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential=AKID/20261122/{region}/{service}/aws4_request, SignedHeaders=host"
        )
    if target:
        fields["X-Amz-Target"] = target
    return RequestHead("POST", path, Headers.of(fields))


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        (head(service="sagemaker", target="SageMaker.CreateModel"),
         Destination("sagemaker", "CreateModel", "eu-west-1")),
        (head("/endpoints/e/invocations", service="sagemaker"), Destination("runtime", "", "eu-west-1")),
        (head("/endpoints/e/invocations"), Destination("runtime")),
        (head("/endpoints/e", service="s3"), Destination("s3", "", "eu-west-1")),
        (head("/v2/a/blobs/uploads/"), Destination("registry")),
        (head("/v2/key", service="s3"), Destination("s3", "", "eu-west-1")),
        (head(service="iam"), Destination("iam", "", "eu-west-1")),
        (head(service="monitoring", target="GraniteServiceVersion20100801.ListMetrics"),
         Destination("monitoring", "ListMetrics", "eu-west-1")),
        (head("/bucket/key?X-Amz-Credential=AKID%2F20261122%2Fus-west-2%2Fs3%2Faws4_request"),
         Destination("s3", "", "us-west-2")),
        (head("/bucket/key"), Destination("s3")),
    ],
)  # fmt: skip
def test_each_request_finds_its_service(request_head: RequestHead, expected: Destination) -> None:
    assert destination_of(request_head) == expected


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost", "LOCALHOST:1", "[::1]:80", "bucket.localhost:9"])
def test_loopback_names_are_answered(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", [None, "", "example.com", "127.0.0.1.example.com", "10.0.0.1", "localhost.evil:80"])
def test_foreign_names_are_not(host: str | None) -> None:
    assert not is_loopback_host(host)
