"""The other ways to be invoked, and what is kept of invocations: asynchronous, serverless, shadows, data capture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]


def eventually(look: Callable[[], Any], what: str) -> Any:
    """What ``look`` finds once it finds something."""
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def deploy(rehearsal: Rehearsal, name: str, variant: dict[str, Any] | None = None, **config: Any) -> None:
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=rehearsal.role(), PrimaryContainer={"Image": rehearsal.push("tiny")}
    )
    settings = variant or {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{"VariantName": "a", "ModelName": name, **settings}], **config
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=FAST)


def objects(rehearsal: Rehearsal, bucket: str, prefix: str = "") -> dict[str, bytes]:
    s3 = rehearsal.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def metrics(rehearsal: Rehearsal, endpoint: str) -> set[str]:
    listed = rehearsal.client("cloudwatch").list_metrics(Dimensions=[{"Name": "EndpointName", "Value": endpoint}])
    return {metric["MetricName"] for metric in listed["Metrics"]}


def wake_from_none(rehearsal: Rehearsal, endpoint: str, location: str) -> None:
    """Scales an asynchronous endpoint to no instance; a request's backlog brings one back by an alarm."""
    scaling, sagemaker = rehearsal.client("application-autoscaling"), rehearsal.client("sagemaker")
    which = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{endpoint}/variant/a",
             "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
    scaling.register_scalable_target(**which, MinCapacity=0, MaxCapacity=1)
    steps = [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    policy = scaling.put_scaling_policy(
        **which, PolicyName="wake", PolicyType="StepScaling",
        StepScalingPolicyConfiguration={"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps},
    )["PolicyARN"]  # fmt: skip
    none = {"VariantName": "a", "DesiredInstanceCount": 0}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=[none])
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=endpoint, WaiterConfig=FAST)
    assert not list((rehearsal.state_dir / "containers").glob("i-*"))
    rehearsal.client("cloudwatch").put_metric_alarm(
        AlarmName="backlog", Namespace="AWS/SageMaker", MetricName="HasBacklogWithoutCapacity", Statistic="Maximum",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}], Period=60, EvaluationPeriods=1, Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[policy],
    )  # fmt: skip
    answer = rehearsal.client("sagemaker-runtime").invoke_endpoint_async(EndpointName=endpoint, InputLocation=location)
    bucket, _, key = answer["OutputLocation"].removeprefix("s3://").partition("/")
    eventually(lambda: objects(rehearsal, bucket, key), "nobody woke the endpoint")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=endpoint, WaiterConfig=FAST)


def test_asynchronous_answers_and_failures_are_written_to_s3(rehearsal: Rehearsal) -> None:
    s3, runtime = rehearsal.client("s3"), rehearsal.client("sagemaker-runtime")
    s3.create_bucket(Bucket="later")
    s3.put_object(Bucket="later", Key="in/1", Body=b"rows")
    topic = rehearsal.client("sns").create_topic(Name="done")["TopicArn"]
    output = {
        "S3OutputPath": "s3://later/out", "S3FailurePath": "s3://later/failed",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": "arn:aws:sns:us-east-1:123456789012:gone"},
    }  # fmt: skip
    deploy(rehearsal, "later", AsyncInferenceConfig={"OutputConfig": output})
    answer = runtime.invoke_endpoint_async(EndpointName="later", InputLocation="s3://later/in/1", InferenceId="mine")
    assert (answer["InferenceId"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("mine", 202)
    key = answer["OutputLocation"].removeprefix("s3://later/")
    told = eventually(lambda: objects(rehearsal, "later", "out/").get(key), "no output")
    assert json.loads(told)["body"] == "rows"

    failing = runtime.invoke_endpoint_async(EndpointName="later", InputLocation="s3://later/in/absent")
    key = failing["FailureLocation"].removeprefix("s3://later/")
    assert b"Could not find the input" in eventually(lambda: objects(rehearsal, "later", "failed/").get(key), "no file")
    with pytest.raises(ClientError, match="is asynchronous"):
        rehearsal.invoke("later")
    counted = {"RequestDownloadFailures", "NotificationFailures", "ApproximateBacklogSize", "TotalProcessingTime"}
    eventually(lambda: counted <= metrics(rehearsal, "later"), "metrics are missing")
    wake_from_none(rehearsal, "later", "s3://later/in/1")
    rehearsal.delete("later")


def test_serverless_has_its_own_limits(rehearsal: Rehearsal) -> None:
    deploy(rehearsal, "little", {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}})
    variant = rehearsal.client("sagemaker").describe_endpoint(EndpointName="little")["ProductionVariants"][0]
    assert variant["CurrentServerlessConfig"]["MaxConcurrency"] == 2
    with pytest.raises(ClientError, match="oversize body"):
        rehearsal.invoke("little", b"x" * (5 << 20))

    def call(_: int) -> str:
        try:
            rehearsal.invoke("little", CustomAttributes="sleep=0.5")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "answered"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(call, range(6)))
    assert {"answered", "ThrottlingException"} == set(outcomes)

    def running() -> int:
        return len(list((rehearsal.state_dir / "containers").glob("i-*")))

    def setups() -> int:
        listed = rehearsal.client("cloudwatch").list_metrics(MetricName="ModelSetupTime")["Metrics"]
        return len(listed)

    eventually(lambda: running() == 0, "idle containers stay")
    assert rehearsal.told("little", b"cold")["body"] == "cold"
    assert (running(), setups() > 0) == (1, True)
    sagemaker = rehearsal.client("sagemaker")
    change = {"VariantName": "a", "ServerlessUpdateConfig": {"MaxConcurrency": 3, "ProvisionedConcurrency": 2}}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="little", DesiredWeightsAndCapacities=[change])
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="little", WaiterConfig=FAST)
    shown = sagemaker.describe_endpoint(EndpointName="little")["ProductionVariants"][0]["CurrentServerlessConfig"]
    assert (running(), shown["ProvisionedConcurrency"], shown["MemorySizeInMB"]) == (2, 2, 1024)
    rehearsal.delete("little")


def test_captured_data_has_awss_layout(rehearsal: Rehearsal) -> None:
    rehearsal.client("s3").create_bucket(Bucket="captured")
    deploy(
        rehearsal, "watched",
        DataCaptureConfig={
            "EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": "s3://captured/data",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    )  # fmt: skip
    capture = rehearsal.client("sagemaker").describe_endpoint(EndpointName="watched")["DataCaptureConfig"]
    assert (capture["CaptureStatus"], capture["CurrentSamplingPercentage"]) == ("Started", 100)
    rehearsal.invoke("watched", b'{"x": 1}', InferenceId="i-1")
    found = eventually(lambda: objects(rehearsal, "captured"), "nothing captured")
    key, content = next(iter(found.items()))
    assert key.startswith(time.strftime("data/watched/a/%Y/%m/%d/", time.gmtime()))
    assert key.endswith(".jsonl")
    line = json.loads(content.splitlines()[0])
    assert line["eventVersion"] == "0"
    assert line["eventMetadata"]["inferenceId"] == "i-1"
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "application/json", "mode": "INPUT", "data": '{"x": 1}', "encoding": "JSON",
    }  # fmt: skip
    assert line["captureData"]["endpointOutput"]["mode"] == "OUTPUT"
    rehearsal.delete("watched")


def test_a_shadow_gets_copies_and_nobody_sees_its_answers(rehearsal: Rehearsal) -> None:
    shadow = {"VariantName": "dark", "ModelName": "shadowed", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    deploy(rehearsal, "shadowed", ShadowProductionVariants=[{**shadow, "InitialVariantWeight": 1.0}])
    (listed,) = rehearsal.client("sagemaker").describe_endpoint(EndpointName="shadowed")["ShadowProductionVariants"]
    assert (listed["VariantName"], listed["CurrentInstanceCount"], listed["CurrentWeight"]) == ("dark", 1, 1.0)
    assert listed["DeployedImages"]
    answers = [rehearsal.invoke("shadowed") for _ in range(4)]
    assert {answer["InvokedProductionVariant"] for answer in answers} == {"a"}
    logs = rehearsal.client("logs")

    def copies() -> int:
        events = logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/shadowed", logStreamNamePrefix="dark/")
        return sum("POST /invocations" in event["message"] for event in events["events"])

    streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/shadowed")["logStreams"]
    assert sorted(item["logStreamName"].partition("/")[0] for item in streams) == ["a", "dark"]
    eventually(lambda: copies() >= 4, "no copies")
    rehearsal.delete("shadowed")
