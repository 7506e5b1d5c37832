"""What survives a plane: definitions, objects, endpoints; and what does not: processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.ground.errors import ToolFailed
from penstock.oci.image import Image
from penstock.rehearsal.process import find_plane, start_plane, stop_plane
from penstock.rehearsal.runner.container import started_at
from rehearsal.planes import FAST, Rehearsal, plane_cache, tiny
from rehearsal.test_components import container, host, settled

__all__ = ["plane_cache", "tiny"]


@pytest.fixture
def own(tmp_path: Path, tiny: Image, plane_cache: Path) -> Iterator[Rehearsal]:
    info = start_plane(tmp_path, cache_dir=plane_cache, detached=False)
    yield Rehearsal(info, tmp_path, tiny)
    stop_plane(tmp_path)


def again(own: Rehearsal, plane_cache: Path) -> Rehearsal:
    return Rehearsal(start_plane(own.state_dir, cache_dir=plane_cache, detached=False), own.state_dir, own.image)


def test_definitions_objects_and_endpoints_come_back_on_the_same_port(own: Rehearsal, plane_cache: Path) -> None:
    own.upload_model("kept", "m/model.tar.gz", {"MLmodel": b"x"})
    own.client("s3").put_object(Bucket="kept", Key="m", Body=b"beside", Metadata={"a": "b"}, ContentType="text/x")
    own.deploy("kept", environment={"GREETING": "again"})
    assert stop_plane(own.state_dir)
    assert find_plane(own.state_dir) is None
    assert not list((own.state_dir / "containers").iterdir())

    back = again(own, plane_cache)
    assert back.info.url == own.info.url
    back.client("sagemaker").get_waiter("endpoint_in_service").wait(EndpointName="kept", WaiterConfig=FAST)
    assert back.told("kept")["greeting"] == "again"
    found = back.client("s3").get_object(Bucket="kept", Key="m")
    assert (found["Body"].read(), found["Metadata"], found["ContentType"]) == (b"beside", {"a": "b"}, "text/x")
    trust = back.client("iam").get_role(RoleName="penstock-execution")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    back.make_config("later")
    assert back.client("ecr").describe_images(repositoryName="tiny")["imageDetails"]


def test_components_packages_and_scaling_come_back(own: Rehearsal, plane_cache: Path) -> None:
    host(own, "house")
    sagemaker = own.client("sagemaker")
    sagemaker.create_inference_component(
        InferenceComponentName="part", EndpointName="house", Specification=container(own, GREETING="part")
    )
    assert settled(own, "part")["InferenceComponentStatus"] == "InService"
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    package = sagemaker.create_model_package(
        ModelPackageGroupName="group", InferenceSpecification={"Containers": [{"Image": own.push("tiny")}]}
    )["ModelPackageArn"]
    which = {"ServiceNamespace": "sagemaker", "ResourceId": "inference-component/part",
             "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount"}  # fmt: skip
    own.client("application-autoscaling").register_scalable_target(**which, MinCapacity=1, MaxCapacity=2)
    assert stop_plane(own.state_dir)
    assert not list((own.state_dir / "containers").iterdir())

    back = again(own, plane_cache)
    assert settled(back, "part")["InferenceComponentStatus"] == "InService"
    assert back.told("house", InferenceComponentName="part")["greeting"] == "part"
    shown = back.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert shown["ModelApprovalStatus"] == "PendingManualApproval"
    scaling = back.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["ResourceId"], target["MaxCapacity"]) == ("inference-component/part", 2)


def test_a_killed_plane_leaves_no_process_and_the_next_goes_on(own: Rehearsal, plane_cache: Path) -> None:
    own.deploy("orphan", count=2)
    homes = list((own.state_dir / "containers").glob("i-*"))
    pids = [tuple((home / "pid").read_text().split()) for home in homes]
    assert len(pids) == 2
    os.kill(own.info.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(started_at(int(pid)) == ticks for pid, ticks in pids):
        assert time.monotonic() < deadline, "a container outlived its plane"
        time.sleep(0.02)
    assert find_plane(own.state_dir) is None
    back = again(own, plane_cache)
    back.client("sagemaker").get_waiter("endpoint_in_service").wait(EndpointName="orphan", WaiterConfig=FAST)
    assert back.told("orphan")["body"] == "{}"
    assert not set(homes) & set((own.state_dir / "containers").iterdir())


def test_a_running_plane_is_found_and_not_started_twice(own: Rehearsal, plane_cache: Path) -> None:
    assert start_plane(own.state_dir, cache_dir=plane_cache) == own.info


def test_a_plane_that_cannot_come_up_says_why(tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.mkdir()
    (blocked / "hosting.db").mkdir()
    with pytest.raises(ToolFailed, match=r"(?i)unable to open|cannot|database"):
        start_plane(blocked, detached=False)
