"""The plane's own cost: what the gateway adds to an invocation, what it carries, and how soon things are there.

    python bench/plane.py [--parts speed,canary,endpoints] [--seconds 6] [--endpoints 50]

speed      plane start; create to InService; a null model of ours through the whole serving path, asked straight and
           through the gateway by wrk in alternating rounds of one run, the gateway with the headers that boto3 sends
canary     an update that shifts a tenth, then all, under constant load: requests lost, and the share while it bakes
endpoints  so many endpoints of two instances each: up, answering, gone; and what is left of them

Each part fits in 300 s on two cores; the image of the first part is built on the first run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from penstock.ground.settings import load_settings  # noqa: E402
from penstock.images.build import build_image  # noqa: E402
from penstock.models.folder import read_model_folder  # noqa: E402
from penstock.oci.cache import BlobCache  # noqa: E402
from penstock.oci.image import Image  # noqa: E402
from penstock.rehearsal.process import start_plane, stop_plane  # noqa: E402
from penstock.rehearsal.traffic.upstream import Upstream  # noqa: E402
from rehearsal.planes import Rehearsal, tiny_image  # noqa: E402

BODY = json.dumps({"inputs": [[0.5, 0.5, 0.5, 0.5]]})
ROUNDS = 3


def main() -> None:
    options = parse()
    for part in options.parts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            with plane(home, options, part) as rehearsal:
                PARTS[part](rehearsal, options)
            show("processes left", len(processes_under(home)), "", "0")
            show("mounts left", Path("/proc/mounts").read_text().count(str(home)), "", "0")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="speed,canary,endpoints")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each load lasts, all rounds together")
    parser.add_argument("--endpoints", type=int, default=50, help="endpoints of two instances each")
    parser.add_argument("--runner", default="auto")
    return parser.parse_args()


@contextmanager
def plane(home: Path, options: argparse.Namespace, part: str) -> Iterator[Rehearsal]:
    """A plane of its own, warm: moto loaded, the runner found."""
    image = real_image(home) if part == "speed" else tiny_image(BlobCache(home / "blobs"))
    started = time.perf_counter()
    info = start_plane(home / "state", cache_dir=home / "cache", runner=options.runner, detached=False)
    show("plane start to ready", time.perf_counter() - started, "s", "<= 2")
    try:
        rehearsal = Rehearsal(info, home / "state", image)
        rehearsal.client("s3").list_buckets()
        yield rehearsal
    finally:
        stop_plane(home / "state")


def real_image(home: Path) -> Image:
    """Our own model server with the null model of bench/serving.py."""
    models = Path(__file__).with_name("serving_peers") / "models.py"
    subprocess.run([sys.executable, str(models), str(home), "null"], check=True)
    return build_image(read_model_folder(home / "null"), cache_dir=load_settings().cache_dir).image


# -- speed


def speed(rehearsal: Rehearsal, options: argparse.Namespace) -> None:
    cold_start(rehearsal)
    straight, gateway = urls(rehearsal)
    headers = boto3_headers(rehearsal)
    check(straight, {}), check(gateway, headers)
    rows: dict[str, list[tuple[float, float, float, float, float]]] = {"straight": [], "gateway": []}
    seconds = options.seconds / ROUNDS
    for _ in range(ROUNDS):  # alternating, so that a busy moment hits both
        for name, url, told in (("straight", straight, {}), ("gateway", gateway, headers)):
            alone, _ = wrk(url, told, connections=1, seconds=seconds)
            before = [cpu_s(rehearsal.info.pid), model_cpu_s(rehearsal.info.pid)]
            median, rate = wrk(url, told, connections=16, seconds=seconds)
            used = [cpu_s(rehearsal.info.pid) - before[0], model_cpu_s(rehearsal.info.pid) - before[1]]
            rows[name].append((alone, median, rate, *(each / (rate * seconds) * 1e6 for each in used)))
    alone, _, rate, _, model = (statistics.median(column) for column in zip(*rows["straight"], strict=True))
    alone_through, _, rate_through, gateway_us, _ = (
        statistics.median(column) for column in zip(*rows["gateway"], strict=True)
    )
    show("median straight, 1 connection", alone, "ms", "")
    show("median through the gateway, 1 connection", alone_through, "ms", "")
    show("the gateway adds", alone_through - alone, "ms", "<= 1")
    show("straight at 16 connections", rate, "/s", "")
    show("gateway at 16 connections", rate_through, "/s", "")
    show("ratio", rate_through / rate, "", ">= 0.5")
    show("CPU of the gateway a request", gateway_us, "us", "")
    show("CPU of the model server a request, straight", model, "us", "")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def model_cpu_s(plane: int) -> float:
    """CPU seconds of all that the plane started."""
    return sum(cpu_s(pid) for pid in below(plane))


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


def cold_start(rehearsal: Rehearsal) -> None:
    """Create to InService, and how much of it came after the container's own first healthy ping.

    That ping is taken from outside, every 2 ms, so the figure is at most 2 ms too small.
    """
    rehearsal.make_config("warm")
    rehearsal.make_config("cold")
    created = time.time()
    rehearsal.client("sagemaker").create_endpoint(EndpointName="cold", EndpointConfigName="cold")
    port = wait_for_port(rehearsal)
    while not healthy(port):
        time.sleep(0.002)
    pinged = time.time()
    while (shown := describe(rehearsal, "cold"))["EndpointStatus"] == "Creating":
        time.sleep(0.005)
    in_service = shown["LastModifiedTime"].timestamp()
    show("create to InService", in_service - created, "s", "")
    show("InService after its first healthy ping", in_service - pinged, "s", "<= 1")


def wait_for_port(rehearsal: Rehearsal) -> int:
    while True:
        for launch in (rehearsal.state_dir / "containers").glob("i-*/launch.json"):
            try:
                return int(container_environment(json.loads(launch.read_text()))["SAGEMAKER_BIND_TO_PORT"])
            except ValueError:  # half written
                continue
        time.sleep(0.002)


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def describe(rehearsal: Rehearsal, name: str) -> dict[str, Any]:
    return dict(rehearsal.client("sagemaker").describe_endpoint(EndpointName=name))


def urls(rehearsal: Rehearsal) -> tuple[str, str]:
    port = wait_for_port(rehearsal)
    return f"http://127.0.0.1:{port}/invocations", f"{rehearsal.info.url}/endpoints/cold/invocations"


def boto3_headers(rehearsal: Rehearsal) -> dict[str, str]:
    """The headers of an invocation as boto3 sends them, signature and all."""
    sent: dict[str, str] = {}

    def note(request: Any, **_: Any) -> None:
        sent.update(
            {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}
        )

    runtime = rehearsal.client("sagemaker-runtime")
    runtime.meta.events.register("before-send.sagemaker-runtime.*", note)
    rehearsal.invoke("cold", BODY.encode())
    return {name: value for name, value in sent.items() if name.lower() not in ("content-length", "host", "expect")}


def check(url: str, headers: dict[str, str]) -> None:
    """One request must be answered well before any is counted."""
    asked = urllib.request.Request(url, BODY.encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert answer.status == 200, answer.status


def wrk(url: str, headers: dict[str, str], *, connections: int, seconds: float) -> tuple[float, float]:
    """The median in milliseconds and the requests a second."""
    told = {"Content-Type": "application/json", **headers}
    lines = [f'wrk.headers["{name}"]=[==[{value}]==]' for name, value in told.items()]
    lines += ['wrk.method="POST"', f"wrk.body=[==[{BODY}]==]"]
    lines.append(
        'done=function(s,l,r) io.write(string.format("F %d %d %f %d\\n", s.requests, s.duration, l:percentile(50), '
        "s.errors.status+s.errors.read+s.errors.timeout+s.errors.connect)) end"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"F (\d+) (\d+) ([\d.]+) (\d+)", said)
    assert found, said
    assert found[4] == "0", f"{found[4]} requests failed: {said}"
    return float(found[3]) / 1000, int(found[1]) / int(found[2]) * 1e6


# -- canary


def canary(rehearsal: Rehearsal, _: argparse.Namespace) -> None:
    """Ten requests in a hundred go to the new fleet while it bakes; nothing is lost before, then or after."""
    sagemaker = rehearsal.client("sagemaker")
    for name in ("old", "new"):
        rehearsal.make_config(name, environment={"GREETING": name}, count=2)
    sagemaker.create_endpoint(EndpointName="canary", EndpointConfigName="old")
    wait_while(rehearsal, "canary", "Creating")
    traffic = {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 600}
    with constant_load(rehearsal.info.port, "canary", connections=8) as seen:
        time.sleep(1.0)
        sagemaker.update_endpoint(
            EndpointName="canary", EndpointConfigName="new",
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}},
        )  # fmt: skip
        wait_while(rehearsal, "canary", "Updating")
        time.sleep(1.0)
    counts = Counter(said for _, said in seen)
    first = next(at for at, said in seen if said == "new")
    baking = [said for at, said in seen if first + 0.5 < at < first + 4.5]
    last_old = max(at for at, said in seen if said == "old")
    show("answers under constant load", len(seen), "", "")
    show("requests lost", len(seen) - counts["old"] - counts["new"], "", "0")
    show("share of the canary while it bakes", baking.count("new") / max(len(baking), 1), "", "0.5")
    show("seconds with both fleets", last_old - first, "s", "6 of 600 x 0.01")
    show("old answers after the last second", sum(said == "old" for at, said in seen if at > last_old), "", "0")


@contextmanager
def constant_load(port: int, endpoint: str, *, connections: int) -> Iterator[list[tuple[float, str]]]:
    """Asks all the while; when each answer came, and its greeting or what went wrong."""
    seen: list[tuple[float, str]] = []
    stop = threading.Event()

    async def one() -> None:
        upstream = Upstream(port)
        while not stop.is_set():
            answer = await upstream.call("POST", f"/endpoints/{endpoint}/invocations", [], b"{}", timeout_s=70)
            said = json.loads(answer.body)["greeting"] if answer.status == 200 else f"{answer.status}: {answer.body!r}"
            seen.append((time.perf_counter(), said))
        upstream.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(connections)))

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def wait_while(rehearsal: Rehearsal, endpoint: str, status: str) -> None:
    while describe(rehearsal, endpoint)["EndpointStatus"] == status:
        time.sleep(0.05)


# -- endpoints


def endpoints(rehearsal: Rehearsal, options: argparse.Namespace) -> None:
    """So many endpoints of two instances each: all up, all answering, all gone, and nothing left of them."""
    sagemaker, pid = rehearsal.client("sagemaker"), rehearsal.info.pid
    rehearsal.make_config("many", count=2)
    before: dict[str, float] = {}
    for number in range(2):  # what the first round loads, the second must not load again
        names = [f"many-{number}-{each}" for each in range(options.endpoints if number else 2)]
        rounds_of(rehearsal, names)
        settle(rehearsal)
        if number == 0:
            before = {**left(rehearsal, pid)}
    after = left(rehearsal, pid)
    for what, wanted in (("files", 0), ("threads", 0), ("ports", 0), ("children", 0), ("homes", 0), ("mounts", 0)):
        show(f"{what} left", after[what] - before[what], "", str(wanted))
    show("memory more", after["memory"] - before["memory"], "MiB", "")
    assert not sagemaker.list_endpoints()["Endpoints"]


def rounds_of(rehearsal: Rehearsal, names: list[str]) -> None:
    sagemaker = rehearsal.client("sagemaker")
    started = time.perf_counter()
    for name in names:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="many")
    while statuses(sagemaker) != {"InService"}:
        assert "Failed" not in statuses(sagemaker)
        time.sleep(0.1)
    show(f"{len(names)} endpoints of two in service", time.perf_counter() - started, "s", "")
    for name in names:
        for _ in range(4):
            rehearsal.invoke(name, b"{}")
    started = time.perf_counter()
    for name in names:
        sagemaker.delete_endpoint(EndpointName=name)
    while statuses(sagemaker):
        time.sleep(0.1)
    show(f"{len(names)} endpoints gone", time.perf_counter() - started, "s", "")


def settle(rehearsal: Rehearsal) -> None:
    """Lets idle connections of clients close before files are counted."""
    for client in list(rehearsal._clients.values()):
        client._endpoint.http_session.close()
    time.sleep(1.0)


def left(rehearsal: Rehearsal, pid: int) -> dict[str, float]:
    """What the plane holds now."""
    return {
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "children": len(below(pid)),
        "ports": listening(),
        "homes": len(list((rehearsal.state_dir / "containers").glob("i-*"))),
        "mounts": Path("/proc/mounts").read_text().count(str(rehearsal.state_dir)),
        "memory": int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024,
    }


def listening() -> int:
    return sum(line.split()[3] == "0A" for line in Path("/proc/net/tcp").read_text().splitlines()[1:])


def statuses(sagemaker: Any) -> set[str]:
    pages = sagemaker.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 100})
    return {item["EndpointStatus"] for page in pages for item in page["Endpoints"]}


def container_environment(launch: dict[str, Any]) -> dict[str, str]:
    given = [item.split("=", 1) for item in launch["argv"] if item.startswith("SAGEMAKER_")]
    return {**launch["environment"], **dict(given)}


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
    print(f"{what:<42} {value:>10.3f} {unit:<4} {f'(wanted {wanted})' if wanted else ''}".rstrip(), flush=True)


PARTS = {"speed": speed, "canary": canary, "endpoints": endpoints}


if __name__ == "__main__":
    main()
