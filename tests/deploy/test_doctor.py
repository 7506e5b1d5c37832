"""The doctor against the plane, with faults injected: each is found, named and has its fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from deploy.stage import Stage
from penstock.api.deployments_doctor import doctor
from penstock.deploy.doctor import Check, Subject, Verdict, examine
from penstock.deploy.roles import Reach, execution_policy, trust_policy
from penstock.deploy.session import AwsSession, open_session
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings
from penstock.rehearsal.process import plane_environment

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


def test_what_a_role_may_pull_and_read_is_simulated(stage: Stage) -> None:
    trust = json.dumps(trust_policy())
    stage.aws.call("iam", "create_role", RoleName="doctors-own", AssumeRolePolicyDocument=trust)
    subject = Subject(role="doctors-own", bucket="models", repository="iris", environment={})
    found = examine(stage.aws, subject)
    assert _of(found, "role").verdict is Verdict.OK
    for line, action in (("role pulls", "ecr:BatchGetImage"), ("role reads", "s3:GetObject"), ("role logs", "logs:")):
        assert _of(found, line).verdict is Verdict.FAIL
        assert action in _of(found, line).fix
    policy = execution_policy(
        Reach(
            partition="aws", region=stage.aws.region, account=stage.aws.account, prefixes=("s3://models",),
            repositories=(f"arn:aws:ecr:{stage.aws.region}:{stage.aws.account}:repository/iris",),
        )
    )  # fmt: skip
    stage.aws.call("iam", "put_role_policy", RoleName="doctors-own", PolicyName="p", PolicyDocument=json.dumps(policy))
    found = examine(stage.aws, subject)
    assert {one.verdict for one in found if one.name.startswith("role")} == {Verdict.OK}


def test_a_caller_who_may_not_is_told_the_statement(stage: Stage) -> None:
    result = (
        "<EvaluationResults><member><EvalActionName>iam:PassRole</EvalActionName>"
        "<EvalDecision>implicitDeny</EvalDecision></member></EvaluationResults>"
    )
    body = (
        f"<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>{result}"
        "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, {"content-type": "text/xml"}, _Raw(body.encode()))

    stage.aws.client("iam").meta.events.register("before-send.iam.SimulatePrincipalPolicy", answer)
    check = _of(examine(stage.aws, CALM), "permissions")
    assert check.verdict is Verdict.FAIL
    assert '"Action": ["iam:PassRole"]' in check.fix


def test_a_registry_that_gives_no_token_and_a_bucket_that_is_not_ours(stage: Stage) -> None:
    _answers(stage, "ecr", "GetAuthorizationToken", 400, {
        "__type": "AccessDeniedException", "message": "User: x is not authorized to perform: ecr:GetAuthorizationToken",
    })  # fmt: skip
    assert "PENSTOCK-D014" in _of(examine(stage.aws, CALM), "repository").fix

    def forbid(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 403, {}, _Raw(b""))

    stage.aws.client("s3").meta.events.register("before-send.s3.HeadBucket", forbid)
    assert "not ours" in _of(examine(stage.aws, CALM), "bucket").saw


def test_a_tracking_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, stage: Stage, tmp_path: Path) -> None:
    for key, value in plane_environment(stage.plane).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found = doctor(settings=load_settings({}))
    assert _of(found, "tracking").verdict is Verdict.FAIL
    assert "127.0.0.1" in _of(found, "tracking").saw
    assert "not running" in _of(found, "plane").saw


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
