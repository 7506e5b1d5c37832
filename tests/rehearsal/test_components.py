"""Inference components: an endpoint with no model of its own, and copies that come, change, scale and go."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny
from rehearsal.test_modes import eventually

__all__ = ["plane_cache", "rehearsal", "tiny"]
NEEDS = {"NumberOfCpuCoresRequired": 1, "MinMemoryRequiredInMb": 128}


def host(rehearsal: Rehearsal, name: str) -> None:
    """An endpoint that waits for components: two cores and 8 GiB."""
    sagemaker = rehearsal.client("sagemaker")
    variant = {"VariantName": "a", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    with pytest.raises(ClientError, match="ExecutionRoleArn is required"):
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], ExecutionRoleArn=rehearsal.role()
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=FAST)


def container(rehearsal: Rehearsal, **environment: str) -> dict[str, Any]:
    return {
        "Container": {"Image": rehearsal.push("tiny"), "Environment": environment},
        "ComputeResourceRequirements": NEEDS,
    }


def settled(rehearsal: Rehearsal, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        shown = rehearsal.client("sagemaker").describe_inference_component(InferenceComponentName=name)
        return dict(shown) if shown["InferenceComponentStatus"] not in ("Creating", "Updating") else None

    found: dict[str, Any] = eventually(look, f"{name} stays in progress")
    return found


def test_components_come_change_scale_and_go(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    host(rehearsal, "house")
    with pytest.raises(ClientError, match="Inference Component Name header is required"):
        rehearsal.invoke("house")
    sagemaker.create_inference_component(
        InferenceComponentName="one", EndpointName="house", VariantName="a", RuntimeConfig={"CopyCount": 1},
        Specification=container(rehearsal, GREETING="one"),
    )  # fmt: skip
    sagemaker.create_model(
        ModelName="two", ExecutionRoleArn=rehearsal.role(),
        PrimaryContainer={"Image": rehearsal.push("tiny"), "Environment": {"GREETING": "two"}},
    )  # fmt: skip
    specification = {"ModelName": "two", "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024}}
    sagemaker.create_inference_component(
        InferenceComponentName="two", EndpointName="house", VariantName="a", Specification=specification
    )
    shown = [settled(rehearsal, name) for name in ("one", "two")]
    assert [item["InferenceComponentStatus"] for item in shown] == ["InService"] * 2
    assert shown[0]["Specification"]["Container"]["DeployedImage"]["SpecifiedImage"] == rehearsal.push("tiny")
    for name in ("one", "two"):
        assert rehearsal.told("house", InferenceComponentName=name)["greeting"] == name
    with pytest.raises(ClientError, match="Inference Component three not found"):
        rehearsal.invoke("house", InferenceComponentName="three")
    with pytest.raises(ClientError, match="while it hosts inference components: one, two"):
        sagemaker.delete_endpoint(EndpointName="house")

    sagemaker.update_inference_component(
        InferenceComponentName="one", Specification=container(rehearsal, GREETING="newer")
    )
    assert settled(rehearsal, "one")["InferenceComponentStatus"] == "InService"
    assert rehearsal.told("house", InferenceComponentName="one")["greeting"] == "newer"
    sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="two", DesiredRuntimeConfig={"CopyCount": 0}
    )
    assert settled(rehearsal, "two")["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}
    with pytest.raises(ClientError, match="Inference Component has no capacity"):
        rehearsal.invoke("house", InferenceComponentName="two")
    listed = sagemaker.list_inference_components(EndpointNameEquals="house", SortBy="Name", SortOrder="Ascending")
    assert [item["InferenceComponentName"] for item in listed["InferenceComponents"]] == ["one", "two"]
    remove(rehearsal, "house", "one", "two")
    assert not list((rehearsal.state_dir / "containers").glob("i-*"))


def remove(rehearsal: Rehearsal, endpoint: str, *names: str) -> None:
    sagemaker = rehearsal.client("sagemaker")
    for name in names:
        sagemaker.delete_inference_component(InferenceComponentName=name)
    eventually(
        lambda: not sagemaker.list_inference_components(EndpointNameEquals=endpoint)["InferenceComponents"], "kept"
    )
    rehearsal.delete(endpoint)


def test_what_does_not_fit_or_start_fails_and_a_bad_update_keeps_the_old(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    host(rehearsal, "narrow")

    def create(name: str, **settings: Any) -> dict[str, Any]:
        sagemaker.create_inference_component(InferenceComponentName=name, EndpointName="narrow", **settings)
        return settled(rehearsal, name)

    wide = create("wide", Specification=container(rehearsal), RuntimeConfig={"CopyCount": 3})
    assert wide["InferenceComponentStatus"] == "Failed"
    assert "cores: 3 asked for, 2 on 1 ml.m5.large" in wide["FailureReason"]
    broken = create("broken", Specification=container(rehearsal, FAIL="no weights"))
    assert (broken["InferenceComponentStatus"], "no weights" in broken["FailureReason"]) == ("Failed", True)
    good = create("good", Specification=container(rehearsal, GREETING="good"))
    assert good["InferenceComponentStatus"] == "InService"
    sagemaker.update_inference_component(
        InferenceComponentName="good", Specification=container(rehearsal, FAIL="worse weights")
    )
    kept = settled(rehearsal, "good")
    assert (kept["InferenceComponentStatus"], "worse weights" in kept["FailureReason"]) == ("InService", True)
    assert rehearsal.told("narrow", InferenceComponentName="good")["greeting"] == "good"

    scaling = rehearsal.client("application-autoscaling")
    which = {"ServiceNamespace": "sagemaker", "ResourceId": "inference-component/good",
             "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount"}  # fmt: skip
    scaling.register_scalable_target(**which, MinCapacity=2, MaxCapacity=2)
    eventually(lambda: settled(rehearsal, "good")["RuntimeConfig"]["CurrentCopyCount"] == 2, "not scaled")
    remove(rehearsal, "narrow", "wide", "broken", "good")
    eventually(lambda: not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"], "kept")
