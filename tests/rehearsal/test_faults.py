"""What goes wrong around a plane: a full disk, a folder that is none, processes killed one by one and at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from penstock.oci.image import Image
from penstock.rehearsal.process import start_plane, stop_plane
from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]


def until(holds: Callable[[], Any], *, what: str, seconds: float = 60) -> Any:
    """What ``holds`` gives, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def below(pid: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found = list(parents.get(pid, []))
    for each in found:
        found += parents.get(each, [])
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def answers(rehearsal: Rehearsal, endpoint: str) -> bool:
    with suppress(ClientError):
        return bool(rehearsal.told(endpoint)["body"] == "{}")
    return False


def test_whichever_process_of_a_container_is_killed_it_is_replaced_whole(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("killed")
    depth = len(below(rehearsal.info.pid))
    assert depth > 0
    for place in range(depth):
        family = below(rehearsal.info.pid)
        os.kill(family[min(place, len(family) - 1)], signal.SIGKILL)
        until(lambda family=family: not any(map(alive, family)), what="a part of the container lived on")
        until(lambda: answers(rehearsal, "killed"), what="the instance was not replaced")
        until(lambda: len(below(rehearsal.info.pid)) == depth, what="something was left")
    rehearsal.delete("killed")
    assert below(rehearsal.info.pid) == []
    assert not list((rehearsal.state_dir / "containers").iterdir())
    assert str(rehearsal.state_dir) not in Path("/proc/mounts").read_text()


def test_layers_that_cannot_be_unpacked_fail_the_endpoint_and_say_so(tmp_path: Path, tiny: Image) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "layers").write_text("no folder")
    info = start_plane(tmp_path / "state", cache_dir=tmp_path / "cache", detached=False)
    try:
        own = Rehearsal(info, tmp_path / "state", tiny)
        own.deploy("unpacked", wait=False)
        shown = until(
            lambda: (seen := own.client("sagemaker").describe_endpoint(EndpointName="unpacked"))["EndpointStatus"]
            != "Creating" and seen, what="it is Creating for ever",
        )  # fmt: skip
        assert shown["EndpointStatus"] == "Failed"
        assert "layers" in shown["FailureReason"]
        own.delete("unpacked")
    finally:
        stop_plane(tmp_path / "state")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, of that size."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def refused(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_full_disk_refuses_what_cannot_be_kept_and_loses_nothing(
    tmp_path: Path, tiny: Image, plane_cache: Path
) -> None:
    with small_disk(tmp_path / "small", 96) as disk:
        state = disk / "state"
        own = Rehearsal(start_plane(state, cache_dir=plane_cache, detached=False), state, tiny)
        try:
            own.make_config("before")
            own.client("s3").create_bucket(Bucket="full")
            own.client("s3").put_object(Bucket="full", Key="before", Body=b"kept")
            fill(disk / "ballast")
            sagemaker, s3 = own.client("sagemaker"), own.client("s3")
            model = {"ExecutionRoleArn": own.role(), "PrimaryContainer": {
                "Image": own.push("tiny"), "Environment": {f"K{number}": "v" * 1000 for number in range(30)},
            }}  # fmt: skip
            assert refused(sagemaker.create_model, ModelName="after", **model) == ("ServiceUnavailable", 503)
            assert refused(s3.put_object, Bucket="full", Key="after", Body=b"x" * 100_000)[1] == 503
            assert [each["ModelName"] for each in sagemaker.list_models()["Models"]] == ["before"]
            (disk / "ballast").unlink()
            sagemaker.create_model(ModelName="after", **model)
            os.kill(own.info.pid, signal.SIGKILL)
            until(lambda: not alive(own.info.pid), what="the plane outlived SIGKILL")
            back = Rehearsal(start_plane(state, cache_dir=plane_cache, detached=False), state, tiny)
            names = {each["ModelName"] for each in back.client("sagemaker").list_models()["Models"]}
            assert names == {"before", "after"}
            assert back.client("s3").get_object(Bucket="full", Key="before")["Body"].read() == b"kept"
        finally:
            stop_plane(state)


class Work(threading.Thread):
    """Makes, changes and deletes things until the plane is gone; remembers what was acknowledged."""

    def __init__(self, rehearsal: Rehearsal, round_: int, kill_at: int) -> None:
        super().__init__()
        self._rehearsal = rehearsal
        self._name = f"r{round_}"
        self._kill_at = kill_at
        self._sent = 0
        self.reached = threading.Event()
        self.kept: dict[str, set[str]] = {"models": set(), "objects": set(), "endpoints": set(), "deleted": set()}

    def run(self) -> None:
        try:
            for number in range(4):
                self._story(f"{self._name}-{number}")
        except (ClientError, BotoCoreError):
            return  # the plane is gone
        finally:
            self.reached.set()

    def _ask(self, service: str, operation: str, **parameters: Any) -> Any:
        self._sent += 1
        if self._sent == self._kill_at:
            self.reached.set()
        return getattr(self._rehearsal.client(service), operation)(**parameters)

    def _story(self, name: str) -> None:
        image, role = self._rehearsal.push("tiny"), self._rehearsal.role()
        self._ask("sagemaker", "create_model", ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": image})
        self.kept["models"].add(name)
        variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        self._ask("sagemaker", "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant])
        self._ask("s3", "put_object", Bucket="kept", Key=name, Body=name.encode())
        self.kept["objects"].add(name)
        if name.endswith(("1", "3")):
            return
        self._ask("sagemaker", "create_endpoint", EndpointName=name, EndpointConfigName=name)
        self.kept["endpoints"].add(name)
        self._rehearsal.client("sagemaker").get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )
        self._ask("sagemaker", "update_endpoint", EndpointName=name, EndpointConfigName=name)
        self._rehearsal.client("sagemaker").get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )
        if name.endswith("0"):
            self.kept["endpoints"].discard(name)  # from here on it may be gone
            self._ask("sagemaker", "delete_endpoint", EndpointName=name)
            self.kept["deleted"].add(name)


@pytest.mark.full  # six planes, each killed at a moment of its own
@pytest.mark.timeout(600)
def test_killed_at_any_moment_a_plane_keeps_what_it_acknowledged_and_leaves_nothing(
    tmp_path: Path, tiny: Image, plane_cache: Path
) -> None:
    dice, kept = random.Random(7), {"models": set[str](), "objects": set[str](), "endpoints": set[str]()}
    deleted: set[str] = set()
    own = Rehearsal(start_plane(tmp_path, cache_dir=plane_cache, detached=False), tmp_path, tiny)
    try:
        own.client("s3").create_bucket(Bucket="kept")
        for round_ in range(6):
            work = Work(own, round_, dice.randrange(1, 20))
            work.start()
            work.reached.wait(120)
            family = [own.info.pid, *below(own.info.pid)]
            os.kill(own.info.pid, signal.SIGKILL)
            work.join(120)
            until(lambda family=family: not any(map(alive, family)), what="a process outlived its plane", seconds=10)
            for kind, names in kept.items():
                names |= work.kept[kind]
            deleted |= work.kept["deleted"]
            own = Rehearsal(start_plane(tmp_path, cache_dir=plane_cache, detached=False), tmp_path, tiny)
            check(own, kept, deleted)
    finally:
        stop_plane(tmp_path)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert not list((tmp_path / "containers").iterdir())


def check(own: Rehearsal, kept: dict[str, set[str]], deleted: set[str]) -> None:
    """Everything acknowledged is there, every endpoint answers, and nothing of the last plane is mounted."""
    sagemaker, s3 = own.client("sagemaker"), own.client("s3")
    pages = sagemaker.get_paginator("list_models").paginate()
    assert kept["models"] <= {each["ModelName"] for page in pages for each in page["Models"]}
    for key in kept["objects"]:
        assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == key.encode()
    for name in kept["endpoints"]:
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=FAST)
        assert own.told(name)["body"] == "{}"

    def gone() -> bool:
        return not deleted & {each["EndpointName"] for each in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]}

    until(gone, what="a deleted endpoint came back")
    homes = {home.name for home in (own.state_dir / "containers").glob("i-*")}
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(own.state_dir) in line]
    assert all(any(home in line for home in homes) for line in mounts), mounts
