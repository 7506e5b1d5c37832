"""The plane's own cost: what the gateway adds to an invocation, what it carries, and how soon things are there.

    python bench/plane.py [--seconds 5] [--endpoints 10]

Every figure of the gateway is printed beside the same load sent straight to the container in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from penstock.oci.cache import BlobCache  # noqa: E402
from penstock.rehearsal.process import start_plane, stop_plane  # noqa: E402
from penstock.rehearsal.traffic.upstream import Upstream  # noqa: E402
from rehearsal.planes import Rehearsal, tiny_image  # noqa: E402

BODY = b"{}"


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        image = tiny_image(BlobCache(home / "blobs"), server="null_server.py")
        started = time.perf_counter()
        info = start_plane(home / "state", cache_dir=home / "cache", runner=arguments.runner, detached=False)
        show("plane start to ready", time.perf_counter() - started, "s", "<= 2")
        plane = Rehearsal(info, home / "state", image)
        try:
            plane.client("s3").list_buckets()
            cold_start(plane)
            invocations(plane, arguments.seconds)
            many(plane, arguments.endpoints)
        finally:
            stop_plane(home / "state")
        show("processes left", len(processes_under(home)), "", "0")
        show("mounts left", Path("/proc/mounts").read_text().count(str(home)), "", "0")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load lasts")
    parser.add_argument("--endpoints", type=int, default=10, help="endpoints of two instances each")
    parser.add_argument("--runner", default="auto")
    return parser.parse_args()


def cold_start(plane: Rehearsal) -> None:
    """Create to InService, and how much of it came after the container's own first healthy ping."""
    plane.make_config("cold")
    created = time.time()
    plane.client("sagemaker").create_endpoint(EndpointName="cold", EndpointConfigName="cold")
    while (shown := plane.client("sagemaker").describe_endpoint(EndpointName="cold"))["EndpointStatus"] == "Creating":
        time.sleep(0.005)
    in_service = shown["LastModifiedTime"].timestamp()
    show("create to InService", in_service - created, "s", "")
    logs = next((plane.state_dir / "containers").glob("i-*/container.log")).read_text().splitlines()
    listening = next(float(line.split()[1]) for line in logs if line.startswith("listening "))
    show("InService after the container listened", in_service - listening, "s", "<= 1")


def invocations(plane: Rehearsal, seconds: float) -> None:
    """One connection's median, and the throughput of sixteen, straight and through the gateway."""
    launch = next((plane.state_dir / "containers").glob("i-*/launch.json"))
    port = int(container_environment(json.loads(launch.read_text()))["SAGEMAKER_BIND_TO_PORT"])
    targets = {
        "straight": (Upstream(port), "/invocations"),
        "gateway": (Upstream(plane.info.port), "/endpoints/cold/invocations"),
    }
    medians: dict[str, list[float]] = {"straight": [], "gateway": []}
    rates: dict[str, list[float]] = {"straight": [], "gateway": []}
    for _ in range(3):  # alternating, so that a busy moment hits both
        for name, (upstream, path) in targets.items():
            medians[name].append(statistics.median(asyncio.run(load(upstream, path, seconds / 6, connections=1))))
            latencies = asyncio.run(load(upstream, path, seconds / 6, connections=16))
            rates[name].append(len(latencies) / (seconds / 6))
    straight, gateway = min(medians["straight"]) * 1e3, min(medians["gateway"]) * 1e3
    show("median straight", straight, "ms", "")
    show("median through the gateway", gateway, "ms", "")
    show("the gateway adds", gateway - straight, "ms", "<= 1")
    show("straight at 16 connections", max(rates["straight"]), "/s", "")
    show("gateway at 16 connections", max(rates["gateway"]), "/s", "")
    show("ratio", max(rates["gateway"]) / max(rates["straight"]), "", ">= 0.5")


async def load(upstream: Upstream, path: str, seconds: float, *, connections: int) -> list[float]:
    """The latencies in seconds of all requests that so many connections made."""
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def one() -> None:
        while (begun := time.perf_counter()) < deadline:
            answer = await upstream.call("POST", path, [("content-type", "application/json")], BODY, timeout_s=30)
            if answer.status != 200:
                raise SystemExit(f"{path} answered {answer.status}: {answer.body!r}")
            latencies.append(time.perf_counter() - begun)

    await asyncio.gather(*(one() for _ in range(connections)))
    upstream.close()
    return latencies


def many(plane: Rehearsal, count: int) -> None:
    """So many endpoints of two instances each: all up, all answering, all gone."""
    sagemaker = plane.client("sagemaker")
    plane.make_config("many", count=2)
    names = [f"many-{number}" for number in range(count)]
    files = open_files(plane.info.pid)
    started = time.perf_counter()
    for name in names:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="many")
    while statuses(sagemaker, "many-") != {"InService"}:
        time.sleep(0.1)
    show(f"{count} endpoints of two in service", time.perf_counter() - started, "s", "")
    for name in names:
        plane.invoke(name, BODY)
    for name in names:
        sagemaker.delete_endpoint(EndpointName=name)
    while statuses(sagemaker, "many-"):
        time.sleep(0.1)
    show("files left open", open_files(plane.info.pid) - files, "", "about 0")
    show("homes left", len(list((plane.state_dir / "containers").glob("i-*"))) - 1, "", "0")


def statuses(sagemaker: Any, prefix: str) -> set[str]:
    pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=prefix)
    return {item["EndpointStatus"] for page in pages for item in page["Endpoints"]}


def container_environment(launch: dict[str, Any]) -> dict[str, str]:
    given = [item.split("=", 1) for item in launch["argv"] if item.startswith("SAGEMAKER_")]
    return {**launch["environment"], **dict(given)}


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processes_under(home: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(home).encode() in command and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def show(what: str, value: float, unit: str, wanted: str) -> None:
    print(f"{what:<42} {value:>10.3f} {unit:<4} {f'(wanted {wanted})' if wanted else ''}".rstrip())


if __name__ == "__main__":
    main()
