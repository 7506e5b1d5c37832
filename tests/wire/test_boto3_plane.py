"""Unmodified boto3 against a plane: its waiters, its paginators, its parsers, its errors."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from penstock.oci.cache import BlobCache
from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny
from rehearsal.tiny import tiny_image

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True


def refused(call: Any, **parameters: Any) -> dict[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return dict(caught.value.response["Error"])


def test_the_whole_story_leaves_nothing(rehearsal: Rehearsal) -> None:
    sagemaker, uri = rehearsal.client("sagemaker"), rehearsal.upload_model("story", "m/model.tar.gz", {"MLmodel": b"x"})
    image = rehearsal.push("story")
    container = {"Image": image, "ModelDataUrl": uri, "Environment": {"GREETING": "hello"}}
    sagemaker.create_model(ModelName="story", ExecutionRoleArn=rehearsal.role(), PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": "story", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="story", ProductionVariants=[{**variant, "InitialInstanceCount": 2}]
    )
    created = sagemaker.create_endpoint(EndpointName="story", EndpointConfigName="story")
    assert sagemaker.describe_endpoint(EndpointName="story")["EndpointStatus"] == "Creating"
    busy = refused(sagemaker.delete_endpoint, EndpointName="story")
    assert busy["Message"].startswith(f'Cannot update in-progress endpoint "{created["EndpointArn"]}"')
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="story", WaiterConfig=FAST)

    shown = sagemaker.describe_endpoint(EndpointName="story")["ProductionVariants"][0]
    assert shown["CurrentInstanceCount"] == 2
    assert shown["DeployedImages"][0]["ResolvedImage"] == image

    answer = rehearsal.invoke("story", b'{"a": 1}', CustomAttributes="trace-7", Accept="application/json")
    told = json.loads(answer["Body"].read())
    assert (answer["InvokedProductionVariant"], answer["CustomAttributes"]) == ("AllTraffic", "seen:trace-7")
    assert (told["body"], told["model"], told["greeting"], told["writable"]) == (
        '{"a": 1}',
        ["MLmodel"],
        "hello",
        False,
    )
    assert not {"authorization", "x-amz-date", "user-agent", "amz-sdk-request"} & set(told["headers"])

    homes = list((rehearsal.state_dir / "containers").iterdir())
    pids = [int((home / "pid").read_text().split()[0]) for home in homes if (home / "pid").exists()]
    assert len(pids) == 2
    rehearsal.delete("story")
    sagemaker.delete_endpoint_config(EndpointConfigName="story")
    sagemaker.delete_model(ModelName="story")
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not list((rehearsal.state_dir / "containers").iterdir())
    assert str(rehearsal.state_dir) not in Path("/proc/mounts").read_text()


def test_metrics_and_logs_can_be_read_back(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("watched")
    for _ in range(3):
        rehearsal.told("watched")
    with pytest.raises(ClientError):
        rehearsal.told("watched", CustomAttributes="fail")
    dimensions = [{"Name": "EndpointName", "Value": "watched"}, {"Name": "VariantName", "Value": "AllTraffic"}]

    def total(metric: str, statistic: str = "Sum") -> float:
        found = rehearsal.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker", MetricName=metric, Dimensions=dimensions, Period=60, Statistics=[statistic],
            StartTime=time.time() - 300, EndTime=time.time() + 300,
        )  # fmt: skip
        return float(sum(point[statistic] for point in found["Datapoints"]))

    assert (total("Invocations"), total("Invocation4XXErrors"), total("Invocation5XXErrors")) == (4, 1, 0)
    assert total("ModelLatency", "Maximum") > 100  # microseconds

    logs = rehearsal.client("logs")
    group = "/aws/sagemaker/Endpoints/watched"
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert [stream["logStreamName"].partition("/")[0] for stream in streams] == ["AllTraffic"]
    events = logs.filter_log_events(logGroupName=group)["events"]
    assert "listening" in [event["message"] for event in events]
    rehearsal.delete("watched")


def test_a_model_that_raises_fails_the_endpoint_with_its_last_line(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("broken", environment={"FAIL": "no such column: petal"}, wait=False)
    sagemaker = rehearsal.client("sagemaker")
    with pytest.raises(WaiterError):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="broken", WaiterConfig=FAST)
    shown = sagemaker.describe_endpoint(EndpointName="broken")
    assert shown["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in shown["FailureReason"]
    assert "ValueError: no such column: petal" in shown["FailureReason"]
    rehearsal.delete("broken")


def test_model_errors_are_424_with_what_the_model_said(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("errors")
    with pytest.raises(ClientError) as caught:
        rehearsal.told("errors", CustomAttributes="fail")
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert response["Error"]["Message"].startswith('Received client error (400) from primary with message "bad rows"')
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (400, "bad rows")
    assert ":log-group:/aws/sagemaker/Endpoints/errors:" in response["LogStreamArn"]

    with pytest.raises(ClientError, match=r"Received server error \(0\) from primary"):
        rehearsal.told("errors", CustomAttributes="crash")
    deadline = time.monotonic() + 30
    while True:  # the instance that died is replaced
        try:
            rehearsal.told("errors")
            break
        except ClientError as error:
            if time.monotonic() > deadline or error.response["Error"]["Code"] != "ServiceUnavailable":
                raise
    rehearsal.delete("errors")


def test_a_streamed_answer_arrives_in_parts(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("stream")
    answer = rehearsal.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName="stream", Body=b"{}", CustomAttributes="chunks"
    )
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"one two three"
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    rehearsal.delete("stream")


def test_what_is_missing_taken_or_malformed_is_said_as_aws_says_it(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    assert refused(sagemaker.describe_endpoint, EndpointName="nobody") == {
        "Code": "ValidationException",
        "Message": 'Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012:endpoint/nobody".',
    }
    assert refused(sagemaker.delete_model, ModelName="nobody")["Message"].startswith('Could not find model "')
    unknown = refused(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="nobody")
    assert unknown["Message"].startswith('Could not find endpoint configuration "')
    rehearsal.make_config("taken")
    again = refused(
        sagemaker.create_model, ModelName="taken", ExecutionRoleArn=rehearsal.role(), PrimaryContainer={"Image": "x"}
    )
    assert again["Message"].startswith('Cannot create already existing model "')
    runtime = rehearsal.client("sagemaker-runtime")
    absent = refused(runtime.invoke_endpoint, EndpointName="nobody", Body=b"{}")
    assert absent == {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 123456789012 not found.",
    }


def test_create_model_checks_what_sagemaker_checks(rehearsal: Rehearsal, tmp_path: Path) -> None:
    sagemaker, role, image = rehearsal.client("sagemaker"), rehearsal.role(), rehearsal.push("checks")

    def said(container: dict[str, Any], role: str = role) -> str:
        error = refused(
            sagemaker.create_model, ModelName="checked", ExecutionRoleArn=role, PrimaryContainer=container
        )  # fmt: skip
        return error["Message"]

    absent = "arn:aws:iam::123456789012:role/nobody"
    assert said({"Image": image}, absent).startswith(f"Could not assume role {absent}.")
    untrusted = rehearsal.client("iam").create_role(
        RoleName="untrusting", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )["Role"]["Arn"]  # fmt: skip
    assert said({"Image": image}, untrusted).startswith("Could not assume role")
    assert "not found" in said({"Image": image.partition("@")[0] + ":none"})
    oci = rehearsal.push("checks", "oci", format="oci")
    assert said({"Image": oci}).startswith(
        "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json"
    )  # fmt: skip
    assert said({"Image": image, "ModelDataUrl": "s3://nowhere/m.tar.gz"}).startswith("Could not access model data")
    s3 = rehearsal.client("s3")
    s3.create_bucket(Bucket="checks")
    assert said({"Image": image, "ModelDataUrl": "s3://checks/m.tar.gz"}).startswith("Could not find model data")
    s3.put_object(Bucket="checks", Key="m.tar.gz", Body=b"PK a zip")
    assert said({"Image": image, "ModelDataUrl": "s3://checks/m.tar.gz"}).startswith("Failed to extract model data")
    far = rehearsal.client("s3", region="eu-west-1")
    far.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert "it must be in us-east-1" in said({"Image": image, "ModelDataUrl": "s3://far/m.tar.gz"})

    other = rehearsal.push("checks", "arm", image=tiny_image(BlobCache(tmp_path), architecture="arm64"))
    sagemaker.create_model(ModelName="arm", ExecutionRoleArn=role, PrimaryContainer={"Image": other})
    variant = {"VariantName": "a", "ModelName": "arm", "InitialInstanceCount": 1}
    mismatch = refused(
        sagemaker.create_endpoint_config, EndpointConfigName="arm",
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}],
    )  # fmt: skip
    assert "is for linux/arm64, but ml.m5.large is linux/amd64" in mismatch["Message"]
    sagemaker.create_endpoint_config(
        EndpointConfigName="arm", ProductionVariants=[{**variant, "InstanceType": "ml.c7g.large"}]
    )


def test_lists_are_paged_filtered_and_sorted(rehearsal: Rehearsal) -> None:
    sagemaker, role, image = rehearsal.client("sagemaker"), rehearsal.role(), rehearsal.push("lists")
    names = [f"listed-{number:02}" for number in range(25)]
    for name in names:
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": image})
    pages = list(
        sagemaker.get_paginator("list_models").paginate(
            NameContains="LISTED", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 10}
        )
    )
    assert [len(page["Models"]) for page in pages] == [10, 10, 5]
    assert [model["ModelName"] for page in pages for model in page["Models"]] == names
    newest = sagemaker.list_models(MaxResults=1, NameContains="listed")["Models"][0]
    assert newest["ModelName"] == "listed-24"
    assert refused(sagemaker.list_models, NextToken="forged")["Code"] == "ValidationException"
    assert not sagemaker.list_models(NameContains="listed", CreationTimeAfter=time.time() + 60)["Models"]


def test_tags_are_kept_by_arn(rehearsal: Rehearsal) -> None:
    sagemaker, image = rehearsal.client("sagemaker"), rehearsal.push("tags")
    arn = sagemaker.create_model(
        ModelName="tagged", ExecutionRoleArn=rehearsal.role(), PrimaryContainer={"Image": image},
        Tags=[{"Key": "team", "Value": "a"}],
    )["ModelArn"]  # fmt: skip
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "7"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "7"}]


def test_of_a_hundred_creates_of_one_name_exactly_one_wins(rehearsal: Rehearsal) -> None:
    image, role = rehearsal.push("race"), rehearsal.role()
    sagemaker = rehearsal.client("sagemaker")

    def create(_: int) -> str:
        try:
            sagemaker.create_model(ModelName="race", ExecutionRoleArn=role, PrimaryContainer={"Image": image})
        except ClientError as error:
            return error.response["Error"]["Message"].partition(" model")[0]
        return "won"

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(create, range(100)))
    assert Counter(outcomes) == {"won": 1, "Cannot create already existing": 99}


def test_ecr_lists_describes_and_deletes_what_was_pushed(rehearsal: Rehearsal) -> None:
    ecr = rehearsal.client("ecr")
    digest = rehearsal.push("images/mine", "v1").partition("@")[2]
    uri = ecr.describe_repositories(repositoryNames=["images/mine"])["repositories"][0]["repositoryUri"]
    assert uri == f"{rehearsal.info.registry}/images/mine"
    detail = ecr.describe_images(repositoryName="images/mine")["imageDetails"][0]
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["v1"])
    got = ecr.batch_get_image(repositoryName="images/mine", imageIds=[{"imageTag": "v1"}, {"imageTag": "none"}])
    assert json.loads(got["images"][0]["imageManifest"])["schemaVersion"] == 2
    assert got["failures"][0]["failureCode"] == "ImageNotFound"
    full = refused(ecr.delete_repository, repositoryName="images/mine")
    assert full["Code"] == "RepositoryNotEmptyException"
    ecr.batch_delete_image(repositoryName="images/mine", imageIds=[{"imageTag": "v1"}])
    assert ecr.list_images(repositoryName="images/mine")["imageIds"] == []
    ecr.delete_repository(repositoryName="images/mine")
    assert refused(ecr.describe_images, repositoryName="images/mine")["Code"] == "RepositoryNotFoundException"


def test_large_objects_go_through_in_parts(rehearsal: Rehearsal, tmp_path: Path) -> None:
    s3, content = rehearsal.client("s3"), os.urandom(1 << 20) * 20
    (tmp_path / "big").write_bytes(content)
    s3.create_bucket(Bucket="large")
    s3.upload_file(str(tmp_path / "big"), "large", "deep/big.bin")
    s3.download_file("large", "deep/big.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    assert (rehearsal.state_dir / "s3" / "large" / "deep" / "big.bin").read_bytes() == content
    s3.delete_object(Bucket="large", Key="deep/big.bin")
    assert not (rehearsal.state_dir / "s3" / "large" / "deep" / "big.bin").exists()
