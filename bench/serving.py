"""The model server beside its peers: requests a second, time, CPU, memory and start, in one run.

    python bench/serving.py [--quick] [--peers mlflow,fastapi,bentoml,litserve,mlserver] [--works iris,boosting,...]

Every server has one worker pinned to one core and wrk another; rounds are interleaved and medians printed, beside the
physical limits: the model called in process, and a handler that returns a constant on the same HTTP stack.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from serving_peers.servers import FASTAPI, HERE, MLFLOW, NULL_HANDLER, OPTIMIZED, PEERS, PENSTOCK, UNBATCHED, Server

TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = "1", "0"


class Work(NamedTuple):
    """What is asked of a model: how many rows, by how many connections. ``goal`` is over MLflow's requests a second."""

    name: str
    model: str
    rows: int
    connections: int
    goal: float | None = None
    goal_optimized: float | None = None


WORKS = (
    Work("null, 1 row, 16 conn.", "null", 1, 16),
    Work("iris, 1 row, 1 conn.", "iris", 1, 1, 8, 20),
    Work("iris, 1 row, 16 conn.", "iris", 1, 16, 25, 50),
    Work("iris, 1 row, 64 conn.", "iris", 1, 64, 40, 60),
    Work("iris, 1000 rows, 1 conn.", "iris", 1000, 1, 5),
    Work("boosting, 1 row, 16 conn.", "boosting", 1, 16, 15, 60),
    Work("boosting, 1000 rows, 1 conn.", "boosting", 1000, 1, 3),
    Work("forest, 1 row, 16 conn.", "forest", 1, 16, None, 300),
)


class Figures(NamedTuple):
    """One window: requests a second, 50th and 99th percentile in ms, CPU of the whole process tree in us a request."""

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


class Running(NamedTuple):
    """A started server."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    start_s: float


@contextmanager
def started(server: Server, folder: Path, work: Path) -> Iterator[Running]:
    """The server on the server's core, from its start to its first ready answer."""
    port = free_port()
    command, more = server.command(folder, port, work)
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    log = (work / f"{server.name.replace(' ', '-')}-{folder.name}.log").open("wb")
    begin = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command],
        stdout=log, stderr=log, env={**os.environ, **single, **more}, start_new_session=True,
    )  # fmt: skip
    try:
        wait_ready(process, f"http://127.0.0.1:{port}{server.ready}", Path(log.name))
        yield Running(server, port, process, time.perf_counter() - begin)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Returns at the first good answer; a server that died or took two minutes is an error with its log's end."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as error:
            if error.code in (404, 405):  # it listens, and has no such route
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"{url} never answered:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def body_of(folder: Path, rows: int) -> str:
    """A JSON body of ``rows`` rows, made from the model's input example or zeros."""
    width = 4 if folder.name in ("null", "iris") else 30
    example = folder / "input_example.json"
    if not example.exists():
        return json.dumps({"inputs": [[0.5] * width] * rows})
    content = json.loads(example.read_text())
    data = content["data"] if isinstance(content, dict) else content
    return json.dumps({"inputs": (data * rows)[:rows]})


def mlflow_body(folder: Path, body: str) -> str:
    """The same for MLflow, which takes named columns only under their names."""
    if folder.name == "null":
        return body
    content = json.loads((folder / "input_example.json").read_text())
    return json.dumps({"dataframe_split": {"columns": content["columns"], "data": json.loads(body)["inputs"]}})


def check(running: Running, body: str) -> None:
    """One request must be answered well before any is counted."""
    headers = {"content-type": "application/json"}
    url = f"http://127.0.0.1:{running.port}{running.server.path}"
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers), timeout=60) as answer:
        assert answer.status == 200, answer.status


def measure(running: Running, body: str, connections: int, seconds: float, work: Path) -> Figures:
    """One window of wrk with kept connections."""
    script = work / "wrk.lua"
    script.write_text(
        f'wrk.method="POST"\nwrk.headers["content-type"]="application/json"\nwrk.body=[==[{body}]==]\n'
        'done=function(s,l,r) io.write(string.format("F %d %d %f %f %d\\n", s.requests, s.duration,'
        "l:percentile(50), l:percentile(99), s.errors.status+s.errors.read+s.errors.timeout+s.errors.connect)) end\n"
    )
    url = f"http://127.0.0.1:{running.port}{running.server.path}"
    before = cpu_s(running.process.pid)
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s"]
    out = subprocess.run([*command, "-s", str(script), url], check=True, capture_output=True, text=True).stdout
    used = cpu_s(running.process.pid) - before
    found = re.search(r"F (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", out)
    assert found, out
    requests, duration_us = int(found[1]), int(found[2])
    return Figures(
        requests / duration_us * 1e6,
        float(found[3]) / 1000,
        float(found[4]) / 1000,
        used * 1e6 / max(requests, 1),
        int(found[5]),
    )


def tree(process: int) -> list[int]:
    """The process and all below it."""
    try:
        below = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process, *(each for child in below for each in tree(int(child)))]


def cpu_s(process: int) -> float:
    total = 0
    for each in tree(process):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mib(process: int) -> float:
    """Proportional set size of the process tree."""
    total = 0
    for each in tree(process):
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024


IN_PROCESS = """
import json, sys, time
from pathlib import Path
from penstock.models.load import load_model
model = load_model(Path(sys.argv[1]))
rows = json.load(sys.stdin)["inputs"]
import numpy as np
array = np.asarray(rows, dtype=np.float64)
call = (lambda: model.predict_array(array)) if model.array_dtype is not None else (lambda: model.predict(array))
call()
calls, begin = 0, time.perf_counter()
while time.perf_counter() - begin < 1.0:
    call(); calls += 1
print(calls / (time.perf_counter() - begin))
"""


def in_process_rps(folder: Path, body: str) -> float:
    """How often a second the model answers the rows in process: no server can be faster without batching."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-c", IN_PROCESS, str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, input=body).stdout)


def library_s(folder: Path) -> float:
    """Seconds that Python needs to import what the model is made of, pinned as the servers are."""
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    command = [sys.executable, "-c", code, str(folder / "model.pkl")]
    if not (folder / "model.pkl").exists():
        command = [sys.executable, "-c", "import numpy"]
    begin = time.perf_counter()
    subprocess.run(["taskset", "-c", SERVER_CORE, *command], check=True)
    return time.perf_counter() - begin


def bench(work: Work, servers: list[Server], directory: Path, options: argparse.Namespace) -> None:
    """Measures one work on every server, in interleaved rounds, and prints its table."""
    folder = directory / work.model
    body = body_of(folder, work.rows)
    bodies = {server: mlflow_body(folder, body) if server is MLFLOW else server.rewrite(body) for server in servers}
    with ExitStack() as stack:
        running = {server: stack.enter_context(started(server, folder, directory)) for server in servers}
        for server, each in running.items():
            check(each, bodies[server])
            measure(each, bodies[server], work.connections, 1.0, directory)  # warm
        rounds = [
            {server: measure(each, bodies[server], work.connections, options.seconds, directory)
             for server, each in running.items()}
            for _ in range(options.rounds)
        ]  # fmt: skip
        memory = {server: memory_mib(each.process.pid) for server, each in running.items()}
    medians = {
        server: Figures(*(statistics.median(column) for column in zip(*(each[server] for each in rounds), strict=True)))
        for server in servers
    }
    show(work, medians, {server: each.start_s for server, each in running.items()}, memory)
    print(f"  called in process, a second: {in_process_rps(folder, body):,.0f}", end="")
    optimized = directory / f"{work.model}-optimized"
    print(f"; compiled {in_process_rps(optimized, body):,.0f}" if optimized.exists() else "", end="")
    print(f"; start over importing its library: {running[PENSTOCK].start_s / library_s(folder):.2f}")


def goals(work: Work) -> str:
    """What is aimed at, over MLflow, as text."""
    parts = [f"{work.goal:g}x"] if work.goal else []
    return "   goal over mlflow: " + ", ".join(
        [*parts, *([f"{work.goal_optimized:g}x optimized"] if work.goal_optimized else [])]
    )


def show(work: Work, medians: dict[Server, Figures], start_s: dict[Server, float], memory: dict[Server, float]) -> None:
    """Prints one table."""
    base = {
        name: medians[server].rps for name, server in (("mlflow", MLFLOW), ("fastapi", FASTAPI)) if server in medians
    }
    print(f"\n{work.name}" + (goals(work) if base else ""))
    print(f"  {'':24}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'PSS MiB':>9}{'start s':>9}", end="")
    print("".join(f"{'x ' + name:>11}" for name in base) + f"{'errors':>8}")
    for server, found in medians.items():
        print(f"  {server.name:24}{found.rps:9,.0f}{found.p50_ms:9.2f}{found.p99_ms:9.2f}{found.cpu_us:9.0f}", end="")
        print(f"{memory[server]:9.0f}{start_s[server]:9.2f}", end="")
        print("".join(f"{found.rps / rps:11.1f}" for rps in base.values()) + f"{found.errors:8.0f}")
    if NULL_HANDLER in medians and work.model == "null":
        print(f"  null model over null handler: {medians[PENSTOCK].rps / medians[NULL_HANDLER].rps:.2f} (goal 0.6)")


def main() -> None:
    """Runs the works that were chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="null and iris beside mlflow and fastapi, one short round")
    parser.add_argument("--peers", default="mlflow,fastapi,bentoml,litserve,mlserver")
    parser.add_argument("--works", help="models, comma-separated: null, iris, boosting, forest")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.peers = 1, 2.0, "mlflow,fastapi"
    chosen = (options.works or ("null,iris" if options.quick else "null,iris,boosting,forest")).split(",")
    peers = [PEERS[name] for name in options.peers.split(",") if name]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        subprocess.run([sys.executable, str(HERE / "models.py"), place, *chosen], check=True)
        for work in WORKS:
            if work.model in chosen and not (options.quick and work.rows > 1):
                others = [NULL_HANDLER] if work.model == "null" else [OPTIMIZED, UNBATCHED, *peers]
                bench(work, [PENSTOCK, *others], directory, options)


if __name__ == "__main__":
    main()
