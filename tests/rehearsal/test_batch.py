"""Batch transform through boto3: split, joined, assembled, stopped, failed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny
from rehearsal.test_modes import eventually, objects

__all__ = ["plane_cache", "rehearsal", "tiny"]


def transform(rehearsal: Rehearsal, name: str, prefix: str, **settings: Any) -> dict[str, Any]:
    sagemaker = rehearsal.client("sagemaker")
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://batch/{prefix}"}}}
    sagemaker.create_transform_job(
        TransformJobName=name, ModelName=settings.pop("model", "lines"),
        TransformInput={**source, **settings.pop("input", {})},
        TransformOutput={"S3OutputPath": f"s3://batch/out/{name}", **settings.pop("output", {})},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1}, **settings,
    )  # fmt: skip
    assert sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"] == "InProgress"
    waiter = sagemaker.get_waiter("transform_job_completed_or_stopped")
    try:
        waiter.wait(TransformJobName=name, WaiterConfig=FAST)
    finally:
        shown: dict[str, Any] = sagemaker.describe_transform_job(TransformJobName=name)
    return shown


@pytest.fixture(scope="module", autouse=True)
def models(rehearsal: Rehearsal) -> None:
    rehearsal.client("s3").create_bucket(Bucket="batch")
    for name, environment in (("lines", {"LINES": "1"}), ("broken", {"FAIL": "no weights"})):
        rehearsal.client("sagemaker").create_model(
            ModelName=name, ExecutionRoleArn=rehearsal.role(),
            PrimaryContainer={"Image": rehearsal.push("tiny"), "Environment": environment},
        )  # fmt: skip


def test_lines_are_sent_joined_and_written_one_object_for_each(rehearsal: Rehearsal) -> None:
    s3 = rehearsal.client("s3")
    s3.put_object(Bucket="batch", Key="in/a/1.csv", Body=b"7,x\n8,y\n")
    s3.put_object(Bucket="batch", Key="in/a/sub/2.csv", Body=b"9,z\n")
    shown = transform(
        rehearsal, "joined", "in/a/", input={"SplitType": "Line", "ContentType": "text/csv"},
        output={"AssembleWith": "Line", "Accept": "application/jsonlines"},
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input"},
    )  # fmt: skip
    assert shown["TransformJobStatus"] == "Completed"
    assert shown["TransformStartTime"] <= shown["TransformEndTime"]
    assert objects(rehearsal, "batch", "out/joined/") == {
        "out/joined/1.csv.out": b'7,x,{"big": "X"}\n8,y,{"big": "Y"}\n',
        "out/joined/sub/2.csv.out": b'9,z,{"big": "Z"}\n',
    }
    groups = rehearsal.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/TransformJobs")["logStreams"]
    assert any(stream["logStreamName"].startswith("joined/") for stream in groups)


def test_gzip_is_unpacked_and_single_records_go_alone(rehearsal: Rehearsal) -> None:
    rehearsal.client("s3").put_object(Bucket="batch", Key="in/b/1.gz", Body=gzip.compress(b"a\nb\n"))
    transform(
        rehearsal, "zipped", "in/b", BatchStrategy="SingleRecord",
        input={"SplitType": "Line", "CompressionType": "Gzip"}, output={"AssembleWith": "Line"},
    )  # fmt: skip
    assert objects(rehearsal, "batch", "out/zipped/") == {"out/zipped/b/1.gz.out": b'{"big": "A"}\n{"big": "B"}\n'}


def test_failures_say_why_and_write_nothing(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    with pytest.raises(Exception, match="Failed"):
        transform(rehearsal, "nothing", "in/none/")
    assert "No S3 objects found" in sagemaker.describe_transform_job(TransformJobName="nothing")["FailureReason"]
    with pytest.raises(Exception, match="Failed"):
        transform(rehearsal, "raising", "in/a/", model="broken")
    reason = sagemaker.describe_transform_job(TransformJobName="raising")["FailureReason"]
    assert "ValueError: no weights" in reason
    assert not objects(rehearsal, "batch", "out/raising/")
    with pytest.raises(ClientError, match="must not be over 100 MB"):
        transform(rehearsal, "large", "in/a/", MaxConcurrentTransforms=50, MaxPayloadInMB=6)
    assert sagemaker.list_transform_jobs(StatusEquals="Failed", NameContains="raising")["TransformJobSummaries"]


def test_a_job_can_be_stopped(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_model(
        ModelName="slow", ExecutionRoleArn=rehearsal.role(),
        PrimaryContainer={"Image": rehearsal.push("tiny"), "Environment": {"SILENT": "1"}},
    )  # fmt: skip
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://batch/in/a/"}}
    sagemaker.create_transform_job(
        TransformJobName="stopped", ModelName="slow", TransformInput={"DataSource": source},
        TransformOutput={"S3OutputPath": "s3://batch/out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )  # fmt: skip
    sagemaker.stop_transform_job(TransformJobName="stopped")
    describe = sagemaker.describe_transform_job
    eventually(lambda: describe(TransformJobName="stopped")["TransformJobStatus"] == "Stopped", "not stopped")
    eventually(lambda: not list((rehearsal.state_dir / "containers").iterdir()), "its container is left")


def test_a_manifest_names_the_inputs_and_a_capture_tells_what_went_in_and_out(rehearsal: Rehearsal) -> None:
    s3 = rehearsal.client("s3")
    for name in ("x/1", "x/2", "x/3"):
        s3.put_object(Bucket="batch", Key=f"listed/{name}", Body=name.encode())
    manifest = [{"prefix": "s3://batch/listed/"}, "x/1", "x/3"]
    s3.put_object(Bucket="batch", Key="manifest.json", Body=json.dumps(manifest).encode())
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://batch/manifest.json"}}
    shown = transform(
        rehearsal, "listed", "", input={"DataSource": source},
        DataCaptureConfig={"DestinationS3Uri": "s3://batch/capture"},
    )  # fmt: skip
    assert shown["TransformJobStatus"] == "Completed"
    assert set(objects(rehearsal, "batch", "out/listed/")) == {"out/listed/x/1.out", "out/listed/x/3.out"}
    (given,) = objects(rehearsal, "batch", "capture/input/").values()
    (got,) = objects(rehearsal, "batch", "capture/output/").values()
    assert json.loads(given) == [{"prefix": "s3://batch/listed/x/"}, "1", "3"]
    assert json.loads(got) == [{"prefix": "s3://batch/out/listed/x/"}, "1.out", "3.out"]
    s3.put_object(Bucket="batch", Key="manifest.json", Body=b"{}")
    with pytest.raises(WaiterError):
        transform(rehearsal, "unlisted", "", input={"DataSource": source})
    reason = rehearsal.client("sagemaker").describe_transform_job(TransformJobName="unlisted")["FailureReason"]
    assert "cannot be read" in reason
