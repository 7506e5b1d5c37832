"""Endpoints of several models and of several containers: multi-model, pipelines, direct invocation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from rehearsal.planes import FAST, Rehearsal, archive, plane_cache, rehearsal, tiny
from rehearsal.test_modes import eventually
from rehearsal.tiny import BIND_LABEL

__all__ = ["plane_cache", "rehearsal", "tiny"]
MULTI_LABEL = {"com.amazonaws.sagemaker.capabilities.multi-models": "true"}


def serve(rehearsal: Rehearsal, name: str, **model: Any) -> None:
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=rehearsal.role(), **model)
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=FAST)


def labelled(rehearsal: Rehearsal) -> str:
    """The tiny image with the label that multi-model endpoints need."""
    runtime = rehearsal.image.config.runtime
    image = rehearsal.image.configured(replace(runtime, labels={**BIND_LABEL, **MULTI_LABEL}))
    return rehearsal.push("tiny-many", image=image)


def metrics(rehearsal: Rehearsal, endpoint: str) -> set[str]:
    listed = rehearsal.client("cloudwatch").list_metrics(Dimensions=[{"Name": "EndpointName", "Value": endpoint}])
    return {metric["MetricName"] for metric in listed["Metrics"]}


def test_many_models_share_one_container_and_make_room_for_each_other(rehearsal: Rehearsal) -> None:
    s3 = rehearsal.client("s3")
    s3.create_bucket(Bucket="many")
    for name in ("a", "b", "c", "bad"):
        s3.put_object(Bucket="many", Key=f"m/{name}.tar.gz", Body=archive({"weights": name.encode()}))
    container = {"Mode": "MultiModel", "ModelDataUrl": "s3://many/m/", "Environment": {"MODEL_SLOTS": "2"}}
    with pytest.raises(ClientError, match=r"does not contain required com.amazonaws.*multi-models=true"):
        serve(rehearsal, "many", PrimaryContainer={**container, "Image": rehearsal.push("tiny")})
    serve(rehearsal, "many", PrimaryContainer={**container, "Image": labelled(rehearsal)})

    def told(target: str) -> Any:
        return json.loads(rehearsal.invoke("many", b"rows", TargetModel=target)["Body"].read())

    assert [told(f"{name}.tar.gz") for name in "abca"] == [{"weights": name, "body": "rows"} for name in "abca"]
    with pytest.raises(ClientError, match="TargetModel is required"):
        rehearsal.invoke("many")
    with pytest.raises(ClientError, match=r"Failed to download model data\(bucket: many, key: m/absent.tar.gz\)"):
        rehearsal.invoke("many", TargetModel="absent.tar.gz")
    with pytest.raises(ClientError, match=r"server error \(500\) from primary.*the weights are bad"):
        rehearsal.invoke("many", TargetModel="bad.tar.gz")
    (home,) = (rehearsal.state_dir / "containers").glob("i-*")
    assert len(list((home / "models").iterdir())) <= 2
    loads = {"ModelCacheHit", "ModelLoadingTime", "ModelDownloadingTime", "ModelUnloadingTime", "ModelLoadingWaitTime"}
    usage = {"CPUUtilization", "MemoryUtilization", "LoadedModelCount"}
    eventually(lambda: loads | usage <= metrics(rehearsal, "many"), "metrics are missing")
    rehearsal.delete("many")


def containers(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    image = rehearsal.push("tiny")
    return [
        {"Image": image, "ContainerHostname": name, "Environment": {"GREETING": name}} for name in ("first", "second")
    ]


def test_a_pipeline_hands_each_answer_to_the_next_container(rehearsal: Rehearsal) -> None:
    serve(rehearsal, "serial", Containers=containers(rehearsal))
    last = rehearsal.told("serial", b"rows")
    assert last["greeting"] == "second"
    assert json.loads(last["body"])["greeting"] == "first"
    assert json.loads(last["body"])["body"] == "rows"
    shown = rehearsal.client("sagemaker").describe_endpoint(EndpointName="serial")["ProductionVariants"][0]
    assert len(shown["DeployedImages"]) == 2
    with pytest.raises(ClientError, match=r"client error \(400\) from first"):
        rehearsal.invoke("serial", CustomAttributes="fail")
    streams = rehearsal.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/serial")
    assert {item["logStreamName"].rsplit("/")[-1] for item in streams["logStreams"]} == {"first", "second"}
    events = rehearsal.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName="serial", Body=b"rows"
    )["Body"]
    assert b"second" in b"".join(event["PayloadPart"]["Bytes"] for event in events)
    rehearsal.delete("serial")


def test_direct_containers_are_called_by_their_names(rehearsal: Rehearsal) -> None:
    mode = {"InferenceExecutionConfig": {"Mode": "Direct"}}
    nameless = [{"Image": rehearsal.push("tiny")}] * 2
    with pytest.raises(ClientError, match="ContainerHostname is required"):
        serve(rehearsal, "direct", Containers=nameless, **mode)
    serve(rehearsal, "direct", Containers=containers(rehearsal), **mode)
    for name in ("second", "first"):
        told = rehearsal.told("direct", b"rows", TargetContainerHostname=name)
        assert (told["greeting"], told["body"]) == (name, "rows")
    for wrong in ({}, {"TargetContainerHostname": "third"}):
        with pytest.raises(ClientError, match="must be one of first, second"):
            rehearsal.invoke("direct", **wrong)
    with pytest.raises(ClientError):
        rehearsal.invoke("direct", TargetContainerHostname="second", CustomAttributes="crash")
    eventually(
        lambda: rehearsal.client("sagemaker").describe_endpoint(EndpointName="direct")["EndpointStatus"] == "InService"
        and len(list((rehearsal.state_dir / "containers").glob("i-*"))) == 2, "no replacement",
    )  # fmt: skip
    rehearsal.delete("direct")
    assert not list((rehearsal.state_dir / "containers").glob("i-*"))


def test_a_session_stays_with_the_instance_that_opened_it(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("chat", count=2)
    opened = [rehearsal.invoke("chat", SessionId="NEW_SESSION")["NewSessionId"].partition(";")[0] for _ in range(2)]
    for session in opened:
        for _ in range(3):
            assert rehearsal.told("chat", SessionId=session)["secret"] == session.rsplit("-")[-1]
    rehearsal.delete("chat")
