"""What a container may not: reach out when it is isolated, hold more memory than its instance has."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny
from rehearsal.test_modes import deploy, eventually

__all__ = ["plane_cache", "rehearsal", "tiny"]


def test_an_isolated_container_reaches_nothing_and_is_still_invoked(rehearsal: Rehearsal) -> None:
    if os.getuid() != 0:
        pytest.skip("network isolation needs root")
    rehearsal.deploy("open")
    asked = f"reach={rehearsal.info.port}"
    assert rehearsal.invoke("open", CustomAttributes=asked)["Body"].read() == b"true"
    rehearsal.delete("open")
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_model(
        ModelName="closed", ExecutionRoleArn=rehearsal.role(), EnableNetworkIsolation=True,
        PrimaryContainer={"Image": rehearsal.push("tiny")},
    )  # fmt: skip
    variant = {"VariantName": "a", "ModelName": "closed", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="closed", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="closed", EndpointConfigName="closed")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="closed", WaiterConfig=FAST)
    assert rehearsal.invoke("closed", CustomAttributes=asked)["Body"].read() == b"false"
    rehearsal.delete("closed")


def test_a_container_over_its_memory_is_killed_and_replaced(rehearsal: Rehearsal) -> None:
    deploy(rehearsal, "greedy", {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}})
    first = next((rehearsal.state_dir / "containers").glob("i-*")).name
    with suppress(ClientError):  # it may be killed before it has answered
        rehearsal.invoke("greedy", CustomAttributes=f"hold={1200 << 20}")
    logs = rehearsal.client("logs")

    def told() -> bool:
        events = logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/greedy")["events"]
        return any("its instance has 1073741824" in event["message"] for event in events)

    eventually(told, "nobody said that it was killed")

    def replaced() -> bool:
        homes = list((rehearsal.state_dir / "containers").glob("i-*"))
        return first not in [home.name for home in homes]

    eventually(replaced, "it is still there")
    assert rehearsal.told("greedy", b"again")["body"] == "again"
    rehearsal.delete("greedy")
