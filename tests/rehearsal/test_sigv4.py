"""Signatures held against botocore's own signer, and against the examples that AWS prints."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.auth import (
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.options import ACCESS_KEY, ACCOUNT, SECRET_KEY
from penstock.rehearsal.signing.chunks import ChunkCheck
from penstock.rehearsal.signing.keys import Keys
from penstock.rehearsal.signing.reasons import Reason, SignatureRefused, refusal
from penstock.rehearsal.signing.sigv4 import Claim, Scope, signing_key
from penstock.rehearsal.signing.verifier import Verifier
from penstock.serving.http.types import Headers, Request

KEYS = Credentials(ACCESS_KEY, SECRET_KEY)
HOST = "http://127.0.0.1:4566"


class Shifted:
    """A clock that is some seconds off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now_ms(self) -> int:
        return SYSTEM_CLOCK.now_ms() + int(self._seconds * 1000)

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def verifier(clock: Clock = SYSTEM_CLOCK) -> Verifier:
    return Verifier(Keys(Neighbours(ACCOUNT), clock=clock), clock=clock)


def signed(signer: Any, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Request:
    """What arrives of a request that botocore signed."""
    request = AWSRequest(method=method, url=HOST + url, data=body, headers={"Host": "127.0.0.1:4566"} | (headers or {}))
    signer.add_auth(request)
    target = request.url.removeprefix(HOST)
    return Request(method, target, Headers.of(dict(request.headers.items())), body=body)


def why(request: Request, service: str, clock: Clock = SYSTEM_CLOCK) -> Reason:
    with pytest.raises(SignatureRefused) as caught:
        verifier(clock).check(request, service)
    return caught.value.reason


@pytest.mark.parametrize(
    "path", ["/", "/endpoints/a/invocations", "/endpoints/a%20b%2Fc/invocations", "/a//b/../c/", "/~x"]
)
@pytest.mark.parametrize("query", ["", "?b=2&a=1", "?a=x%20y&a=%C3%BC&z", "?a=b%2Bc"])
@pytest.mark.parametrize("service", ["sagemaker", "s3"])
def test_what_botocore_signs_holds(service: str, path: str, query: str) -> None:
    make = S3SigV4Auth if service == "s3" else SigV4Auth
    sent = signed(make(KEYS, service, "eu-west-1"), "POST", path + query, b'{"a": 1}', {"X-Amz-Meta-A": " two  words "})
    assert verifier().check(sent, service) is None
    sent.body = b'{"a": 2}'
    assert why(sent, service) is (Reason.CONTENT if service == "s3" else Reason.WRONG)


def test_presigned_urls_of_both_versions_hold_until_they_expire() -> None:
    for service, signer, way in (
        ("s3", S3SigV4QueryAuth(KEYS, "s3", "us-east-1", expires=60), "/b/a%20key?versionId=1&x=y"),
        ("s3", HmacV1QueryAuth(KEYS, expires=60), "/b/a%20key?response-content-type=text%2Fx&versionId=1&x=y"),
        ("sts", SigV4QueryAuth(KEYS, "sts", "us-east-1", expires=60), "/?Action=GetCallerIdentity&Version=2011-06-15"),
    ):
        assert verifier().check(signed(signer, "GET", way), service) is None
        assert why(signed(signer, "GET", way), service, Shifted(120)) is Reason.EXPIRED
        sent = signed(signer, "GET", way)
        assert why(Request("PUT", sent.target, sent.headers), service) is Reason.WRONG


def test_each_fault_has_its_own_reason() -> None:
    signer = SigV4Auth(KEYS, "sagemaker", "us-east-1")
    assert why(Request("POST", "/", Headers.of({"host": "x"})), "sagemaker") is Reason.MISSING
    assert why(signed(signer, "POST", "/"), "ecr") is Reason.WRONG
    assert why(signed(signer, "POST", "/"), "sagemaker", Shifted(301)) is Reason.SKEWED
    assert why(signed(signer, "POST", "/"), "sagemaker", Shifted(-301)) is Reason.SKEWED
    other = SigV4Auth(Credentials(ACCESS_KEY, "guessed"), "sagemaker", "us-east-1")
    assert why(signed(other, "POST", "/"), "sagemaker") is Reason.WRONG
    sent = signed(signer, "POST", "/")
    broken = (sent.headers.get("authorization") or "").replace("Signature=", "Sign=")
    assert why(Request("POST", "/", Headers(sent.headers.raw | {b"authorization": broken.encode()})), "sagemaker") is (
        Reason.INCOMPLETE
    )
    unsigned = Headers(sent.headers.raw | {b"host": b"127.0.0.1:1"})
    assert why(Request("POST", "/", unsigned), "sagemaker") is Reason.WRONG
    s3 = signed(S3SigV4Auth(KEYS, "s3", "us-east-1"), "PUT", "/b/k", b"x")
    more = Headers(s3.headers.raw | {b"x-amz-acl": b"public-read"})
    assert why(Request("PUT", "/b/k", more, body=b"x"), "s3") is Reason.UNSIGNED_HEADERS


# Source: S3 API reference, "Example: PUT object", of "Transferring payload in multiple chunks".
EXAMPLE = Claim(
    access_key="AKIAIOSFODNN7EXAMPLE", scope=Scope("20130524", "us-east-1", "s3"), signed_headers=("host",),
    signature="4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", timestamp="20130524T000000Z",
)  # fmt: skip
SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)


def example_body() -> bytes:
    chunks = (b"a" * 65536, b"a" * 1024, b"")
    return b"".join(
        b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), signature.encode(), chunk)
        for chunk, signature in zip(chunks, SIGNATURES, strict=True)
    )


def check(body: bytes, *, piece: int) -> None:
    key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", EXAMPLE.scope)
    check = ChunkCheck(key, EXAMPLE, trailer=False)
    for start in range(0, len(body), piece):
        check.feed(body[start : start + piece])
    check.finish()


@pytest.mark.parametrize("piece", [1 << 20, 4096, 7])
def test_the_chunks_that_aws_prints_hold_however_they_arrive(piece: int) -> None:
    check(example_body(), piece=piece)


def test_a_chunk_that_was_changed_left_out_or_never_came_is_found() -> None:
    body = example_body()
    for wrong in (body.replace(b"aaab", b""), body.replace(b"\r\na", b"\r\nb", 1), body[65536 + 87 :], body[:-100]):
        if wrong != body:
            with pytest.raises(SignatureRefused):
                check(wrong, piece=4096)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("service", ["s3", "runtime", "sagemaker", "iam", "monitoring"])
def test_every_refusal_is_said_in_every_protocol(service: str, reason: Reason) -> None:
    headers = {"sagemaker": {"x-amz-target": "SageMaker.X"}, "monitoring": {"smithy-protocol": "rpc-v2-cbor"}}
    head = Request("POST", "/", Headers.of(headers.get(service, {})))
    answer = refusal(head, service, SignatureRefused(reason), "id")
    assert answer.status in (400, 403)
    assert isinstance(answer.body, bytes)
    assert answer.body
