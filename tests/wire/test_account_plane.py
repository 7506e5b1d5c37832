"""What an account is asked before it answers: signatures of every kind of client, keys, and IAM's simulator."""

from __future__ import annotations

import copy
import io
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rehearsal.planes import Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "sagemaker": ("list_models", {}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "none", "Body": b"{}"}),
    "ecr": ("describe_repositories", {}),
    "s3": ("list_buckets", {}),
    "sts": ("get_caller_identity", {}),
    "iam": ("list_roles", {}),
    "sns": ("list_topics", {}),
    "logs": ("describe_log_groups", {}),
    "cloudwatch": ("list_metrics", {}),
}
UNKNOWN = {
    "s3": "InvalidAccessKeyId", "sts": "InvalidClientTokenId", "iam": "InvalidClientTokenId",
    "sns": "InvalidClientTokenId",
}  # fmt: skip
WRONG = {"s3": "SignatureDoesNotMatch", "sts": "SignatureDoesNotMatch", "iam": "SignatureDoesNotMatch",
         "sns": "SignatureDoesNotMatch"}  # fmt: skip


def client(rehearsal: Rehearsal, service: str, key: str, secret: str, token: str | None = None, **config: Any) -> Any:
    return boto3.client(
        service, endpoint_url=rehearsal.info.url, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=token, config=Config(retries={"max_attempts": 1}, **config),
    )  # fmt: skip


def code(rehearsal: Rehearsal, service: str, key: str, secret: str) -> str:
    operation, parameters = ASKED[service]
    with pytest.raises(ClientError) as caught:
        getattr(client(rehearsal, service, key, secret), operation)(**parameters)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("service", ASKED)
def test_an_unknown_key_and_a_wrong_secret_are_refused_as_aws_refuses_them(rehearsal: Rehearsal, service: str) -> None:
    own = rehearsal.environment["AWS_ACCESS_KEY_ID"]
    assert code(rehearsal, service, "AKIANOBODY", "x") == UNKNOWN.get(service, "UnrecognizedClientException")
    assert code(rehearsal, service, own, "guessed") == WRONG.get(service, "InvalidSignatureException")
    operation, parameters = ASKED[service]
    if service != "sagemaker-runtime":
        getattr(rehearsal.client(service), operation)(**parameters)


def test_without_a_signature_nothing_is_answered(rehearsal: Rehearsal) -> None:
    for target in ("/bucket/key", "/endpoints/x/invocations"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(rehearsal.info.url + target)
    with urllib.request.urlopen(f"{rehearsal.info.url}/_penstock/health") as answer:
        assert answer.status == 200


def test_a_user_s_key_and_an_assumed_role_s_hold_and_a_deleted_one_does_not(rehearsal: Rehearsal) -> None:
    iam = rehearsal.client("iam")
    iam.create_user(UserName="someone")
    key = iam.create_access_key(UserName="someone")["AccessKey"]
    client(rehearsal, "sagemaker", key["AccessKeyId"], key["SecretAccessKey"]).list_models()
    role = rehearsal.role("assumed")
    session = rehearsal.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    pair = (session["AccessKeyId"], session["SecretAccessKey"])
    client(rehearsal, "s3", *pair, session["SessionToken"]).list_buckets()
    with pytest.raises(ClientError, match="InvalidToken"):
        client(rehearsal, "s3", *pair, "another").list_buckets()
    iam.delete_access_key(UserName="someone", AccessKeyId=key["AccessKeyId"])
    assert code(rehearsal, "ecr", key["AccessKeyId"], key["SecretAccessKey"]) == "UnrecognizedClientException"


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_presigned_urls_read_and_write(rehearsal: Rehearsal, version: str | None) -> None:
    own = (rehearsal.environment["AWS_ACCESS_KEY_ID"], rehearsal.environment["AWS_SECRET_ACCESS_KEY"])
    s3 = client(rehearsal, "s3", *own, **({"signature_version": version} if version else {}))
    s3.create_bucket(Bucket="presigned")
    place = {"Bucket": "presigned", "Key": f"a key/{version}"}
    put = urllib.request.Request(
        s3.generate_presigned_url("put_object", Params={**place, "ContentType": "text/x"}), b"content",
        {"Content-Type": "text/x"}, method="PUT",
    )  # fmt: skip
    with urllib.request.urlopen(put) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params=place)) as answer:
        assert answer.read() == b"content"
    forged = s3.generate_presigned_url("get_object", Params=place).replace("Signature=", "Signature=0")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(forged)


def test_a_body_that_is_not_what_was_signed_is_not_kept(rehearsal: Rehearsal) -> None:
    s3 = rehearsal.client("s3")
    s3.create_bucket(Bucket="changed")

    def change(request: Any, **_: Any) -> None:
        request.body = b"other"

    s3.meta.events.register_last("before-send.s3.PutObject", change)
    try:
        with pytest.raises(ClientError, match="XAmzContentSHA256Mismatch"):
            s3.put_object(Bucket="changed", Key="k", Body=io.BytesIO(b"exact"))
    finally:
        s3.meta.events.unregister("before-send.s3.PutObject", change)
    assert "Contents" not in s3.list_objects_v2(Bucket="changed")


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
def test_cloudwatch_answers_in_each_of_its_protocols(rehearsal: Rehearsal, protocol: str) -> None:
    session = botocore.session.Session()
    loader = session.get_component("data_loader")
    known = loader.load_service_model

    def only(service: str, kind: str, api_version: str | None = None) -> Any:
        model = copy.deepcopy(known(service, kind, api_version))
        if kind == "service-2":
            model["metadata"] |= {"protocol": protocol, "protocols": [protocol]}
        return model

    loader.load_service_model = only
    watch = session.create_client(
        "cloudwatch", endpoint_url=rehearsal.info.url, region_name="us-east-1",
        aws_access_key_id=rehearsal.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=rehearsal.environment["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    now, space = datetime.now(UTC).replace(microsecond=0), f"Own/{protocol}"
    dimensions = [{"Name": "a", "Value": "ü"}]
    for value in (1.5, 2.5):
        watch.put_metric_data(
            Namespace=space,
            MetricData=[
                {"MetricName": "m", "Dimensions": dimensions, "Timestamp": now, "Value": value, "Unit": "None"}
            ],
        )
    listed = watch.list_metrics(Namespace=space)["Metrics"]
    assert listed == [{"Namespace": space, "MetricName": "m", "Dimensions": dimensions}]
    points = watch.get_metric_statistics(
        Namespace=space, MetricName="m", Dimensions=dimensions, StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5), Period=60, Statistics=["Sum", "SampleCount"],
    )["Datapoints"]  # fmt: skip
    assert [(point["Sum"], point["SampleCount"]) for point in points] == [(4.0, 2.0)]
    assert abs((points[0]["Timestamp"] - now).total_seconds()) <= 60
    watch.put_metric_alarm(
        AlarmName=protocol, Namespace=space, MetricName="m", Dimensions=dimensions, Statistic="Maximum", Period=60,
        EvaluationPeriods=1, Threshold=2, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    alarm = watch.describe_alarms(AlarmNames=[protocol])["MetricAlarms"][0]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (2.0, 1, 60)
    watch.delete_alarms(AlarmNames=[protocol])
    assert watch.describe_alarms(AlarmNames=[protocol])["MetricAlarms"] == []


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:Get*", "sagemaker:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::mine/*"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
         "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}},
        {"Effect": "Deny", "Action": "sagemaker:DeleteEndpoint", "Resource": "*"},
    ],
}  # fmt: skip


def decisions(answer: dict[str, Any]) -> dict[str, str]:
    return {row["EvalActionName"]: row["EvalDecision"] for row in answer["EvaluationResults"]}


def test_the_simulator_reads_inline_and_attached_policies_and_conditions(rehearsal: Rehearsal) -> None:
    iam, arn = rehearsal.client("iam"), rehearsal.role("simulated")
    iam.put_role_policy(RoleName="simulated", PolicyName="p", PolicyDocument=json.dumps(POLICY))
    actions = ["s3:GetObject", "S3:putobject", "iam:PassRole", "sagemaker:DeleteEndpoint", "ecr:PutImage"]
    answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions)
    assert decisions(answer) == {
        "s3:GetObject": "allowed", "S3:putobject": "implicitDeny", "iam:PassRole": "implicitDeny",
        "sagemaker:DeleteEndpoint": "explicitDeny", "ecr:PutImage": "implicitDeny",
    }  # fmt: skip
    passing = answer["EvaluationResults"][2]
    assert passing["MissingContextValues"] == ["iam:PassedToService"]
    assert answer["EvaluationResults"][0]["MatchedStatements"][0]["SourcePolicyType"] == "role"

    def passed(service: str) -> str:
        entry = {"ContextKeyName": "iam:PassedToService", "ContextKeyType": "string", "ContextKeyValues": [service]}
        told = iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=["iam:PassRole"], ContextEntries=[entry]
        )  # fmt: skip
        return decisions(told)["iam:PassRole"]

    assert (passed("sagemaker.amazonaws.com"), passed("lambda.amazonaws.com")) == ("allowed", "implicitDeny")
    told = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:PutObject"], ResourceArns=["arn:aws:s3:::mine/k", "arn:aws:s3:::not/k"]
    )
    assert [row["EvalDecision"] for row in told["EvaluationResults"]] == ["allowed", "implicitDeny"]
    iam.attach_role_policy(
        RoleName="simulated", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser"
    )
    assert decisions(iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions[4:])) == {
        "ecr:PutImage": "allowed"
    }
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.simulate_principal_policy(PolicySourceArn=f"{arn}x", ActionNames=actions)
    with pytest.raises(iam.exceptions.InvalidInputException):
        iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["no action"])


def test_the_plane_s_own_key_may_do_anything_and_a_boundary_limits(rehearsal: Rehearsal) -> None:
    iam = rehearsal.client("iam")
    own = rehearsal.client("sts").get_caller_identity()["Arn"]
    allowed = iam.simulate_principal_policy(PolicySourceArn=own, ActionNames=["iam:PassRole"])
    assert decisions(allowed) == {"iam:PassRole": "allowed"}
    boundary = iam.create_policy(
        PolicyName="limit",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        ),
    )["Policy"]["Arn"]
    trust = iam.get_role(RoleName=rehearsal.role().rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    arn = iam.create_role(
        RoleName="bounded", AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=boundary
    )["Role"]["Arn"]  # fmt: skip
    iam.put_role_policy(RoleName="bounded", PolicyName="p", PolicyDocument=json.dumps(POLICY))
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn, ActionNames=["s3:GetObject", "sagemaker:CreateModel"], PaginationConfig={"PageSize": 1}
    )
    rows = [row for page in pages for row in page["EvaluationResults"]]
    assert [row["EvalDecision"] for row in rows] == ["allowed", "implicitDeny"]
    assert rows[1]["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_the_simulator_takes_policies_of_the_caller_s_own(rehearsal: Rehearsal) -> None:
    told = rehearsal.client("iam").simulate_custom_policy(
        PolicyInputList=[json.dumps(POLICY)], ActionNames=["sagemaker:InvokeEndpoint"]
    )
    assert decisions(told) == {"sagemaker:InvokeEndpoint": "allowed"}
