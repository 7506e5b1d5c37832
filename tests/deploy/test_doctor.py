"""The doctor against the plane, with faults injected: each is found, named and has its fix."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from deploy.stage import Stage
from penstock.deploy.doctor import Check, Subject, Verdict, examine
from penstock.deploy.session import AwsSession, open_session
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import InvalidInput

CALM = Subject(environment={})


def _of(found: tuple[Check, ...], name: str) -> Check:
    return next(one for one in found if one.name == name)


def test_all_is_well_on_a_plane(stage: Stage) -> None:
    found = examine(stage.aws, CALM)
    assert [one.name for one in found if one.verdict is Verdict.FAIL] == []
    assert "penstock" in _of(found, "repository").saw
    assert stage.check.writes() == []


def test_two_regions_are_told(stage: Stage) -> None:
    found = examine(stage.aws, Subject(environment={"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}))
    assert _of(found, "region").verdict is Verdict.WARN
    assert "AWS_DEFAULT_REGION=us-east-1" in _of(found, "region").saw


def test_roles_that_are_missing_or_do_not_trust(stage: Stage) -> None:
    assert "no role" in _of(examine(stage.aws, Subject(role="nobody", environment={})), "role").saw
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    stage.aws.call("iam", "create_role", RoleName="doctors-shy", AssumeRolePolicyDocument=document)
    check = _of(examine(stage.aws, Subject(role="doctors-shy", environment={})), "role")
    assert check.verdict is Verdict.FAIL
    assert "sagemaker.amazonaws.com" in check.fix


def test_a_bucket_in_another_region(stage: Stage) -> None:
    place = {"LocationConstraint": "eu-west-1"}
    elsewhere = AwsSession(stage.aws._boto, region="eu-west-1", endpoint_url=stage.plane.url)
    elsewhere.call("s3", "create_bucket", Bucket="far-away", CreateBucketConfiguration=place)
    check = _of(examine(stage.aws, Subject(bucket="far-away", environment={})), "bucket")
    assert check.verdict is Verdict.FAIL
    assert "eu-west-1" in check.saw


def test_a_clock_that_is_wrong(stage: Stage) -> None:
    class Fast:
        def now_ms(self) -> int:
            return SYSTEM_CLOCK.now_ms() + 600_000

        def sleep(self, seconds: float) -> None:
            raise AssertionError(seconds)

    check = _of(examine(stage.aws, CALM, clock=Fast()), "clock")
    assert check.verdict is Verdict.FAIL
    assert check.saw.startswith(("+60", "+59"))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body


def _answers(stage: Stage, service: str, operation: str, status: int, body: dict[str, Any]) -> None:
    def answer(request: Any, **_: Any) -> AWSResponse:
        raw = _Raw(json.dumps(body).encode())
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, raw)

    stage.aws.client(service).meta.events.register(f"before-send.{service}.{operation}", answer)


def test_a_quota_of_nothing_names_its_code(stage: Stage) -> None:
    quota = {"QuotaName": "ml.m5.large for endpoint usage", "QuotaCode": "L-1234", "Value": 0.0}
    _answers(stage, "service-quotas", "ListServiceQuotas", 200, {"Quotas": [quota]})
    check = _of(examine(stage.aws, CALM), "quota")
    assert check.verdict is Verdict.FAIL
    assert "L-1234" in check.fix


def test_credentials_that_have_expired_and_rights_that_are_missing(stage: Stage) -> None:
    _answers(stage, "sagemaker", "ListEndpoints", 400, {"__type": "ExpiredTokenException", "message": "is expired"})
    assert "PENSTOCK-D025" in _of(examine(stage.aws, CALM), "sagemaker").fix
    denied = {"__type": "AccessDeniedException", "message": "User: x is not authorized to perform: ecr:Get on y"}
    _answers(stage, "ecr", "GetAuthorizationToken", 400, denied)
    assert "PENSTOCK-D014" in _of(examine(stage.aws, CALM), "repository").fix


def test_no_region_is_an_error_and_never_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(InvalidInput, match="--region"):
        open_session()
    assert boto3.Session().region_name is None


def test_nobody_at_the_endpoint(stage: Stage) -> None:
    away = AwsSession(stage.aws._boto, region="us-east-1", endpoint_url="http://127.0.0.1:9")
    check = _of(examine(away, CALM)[:2], "credentials")
    assert check.verdict is Verdict.FAIL
    assert "penstock plane up" in check.fix
