"""How far Penstock's tracking server is ahead of `mlflow server`, both in one run, in interleaved rounds.

    python bench/tracking.py --mlflow .venvs/mlflow/bin/mlflow [--quick] [--postgres postgresql://...] [--out FILE]

Every row gives both medians and their ratio, and beside them the physical limit of this machine: bare transactions of
the same database, and an empty handler on the same HTTP server. Both servers keep their data on the same disk, and only
one of them works at a time. The client is plain HTTP over keep-alive sockets in this process, so it takes its share of
the machine in every row of both.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

API = "/api/2.0/mlflow/"
SERVE = """
import sys
from penstock.server.context import ServerOptions
from penstock.server.serve import serve
serve(ServerOptions(store_uri=sys.argv[1], port=int(sys.argv[2]), artifacts_destination=sys.argv[3]))
"""


@dataclass
class Server:
    """A running tracking server and what it cost to start."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    start_s: float
    experiments: dict[int, str] = field(default_factory=dict)
    run_id: str = ""
    calls: int = 0

    def cpu_s(self) -> float:
        """CPU seconds of the whole process tree so far."""
        total = 0
        for process in tree(self.process.pid):
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """The proportional set size of the whole process tree."""
        total = 0
        for process in tree(self.process.pid):
            try:
                text = Path(f"/proc/{process}/smaps_rollup").read_text()
            except OSError:
                continue
            total += int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))
        return total / 1024


class Caller:
    """One keep-alive connection with TCP_NODELAY, as HTTP clients have it."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def post(self, path: str, **fields: Any) -> Any:
        body = json.dumps(fields)
        self.connection.request("POST", API + path, body, {"Content-Type": "application/json"})
        return self.answer(path)

    def get(self, path: str) -> Any:
        self.connection.request("GET", path)
        return self.answer(path)

    def answer(self, path: str) -> Any:
        response = self.connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {content[:300]!r}")
        return json.loads(content) if content[:1] == b"{" else content


def tree(root: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting += parents.get(process, [])
    return found


@contextmanager
def started(name: str, command: list[str], port: int, folder: Path) -> Iterator[Server]:
    """The server once it answers, and the seconds that took; its whole process group ends with the block."""
    begun = time.perf_counter()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{name} ended: {(folder / f'{name}.log').read_text()[-2000:]}")
            try:
                if Caller(port).get("/health"):
                    break
            except OSError:
                time.sleep(0.01)
        yield Server(name, port, process, time.perf_counter() - begun)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rate(server: Server, call: Callable[[Caller, int], Any], *, connections: int, seconds: float) -> float:
    """Calls a second over ``connections`` keep-alive connections."""
    done = [0] * connections
    stop = time.perf_counter() + seconds
    base = server.calls
    server.calls += 10_000_000

    def work(place: int) -> None:
        caller = Caller(server.port)
        number = base + place * 1_000_000
        call(caller, number)
        while time.perf_counter() < stop:
            number += 1
            call(caller, number)
            done[place] += 1

    begun = time.perf_counter()
    threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begun)


WRK = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local thread_number = 0
function setup(thread) thread:set("id", thread_number) thread_number = thread_number + 1 end
local n = math.floor(os.time() * 1000)
request = function()
  n = n + 1
  local point = '"key":"m' .. (n %% 10) .. '","value":0.5,"timestamp":' .. n .. ',"step":' .. (n %% 1000000)
  return wrk.format(nil, "%s", nil, '{"run_uuid":"%s","run_id":"%s",' .. point .. '}')
end
"""


def wrk_rate(server: Server, folder: Path, *, connections: int, seconds: float) -> float:
    """log-metric calls a second as wrk counts them: a client that costs next to nothing. 0 where wrk is missing."""
    script = folder / f"{server.name}.lua"
    script.write_text(WRK % (f"{API}runs/log-metric", server.run_id, server.run_id))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "-s", str(script)]
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in text:
        raise SystemExit(text)
    return float(next(line.split(":")[1] for line in text.splitlines() if line.startswith("Requests/sec")))


def fill(server: Server, sizes: list[int]) -> None:
    """Experiments of these sizes, each run with 3 metrics, 3 params and a name."""
    caller = Caller(server.port)
    chance = random.Random(1)
    server.run_id = caller.post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    for size in sizes:
        number = caller.post("experiments/create", name=f"e{size}")["experiment_id"]
        server.experiments[size] = number
        for index in range(size):
            run = caller.post("runs/create", experiment_id=number, start_time=index)["run"]["info"]["run_id"]
            metrics = [{"key": f"m{n}", "value": chance.random(), "timestamp": 1, "step": 0} for n in range(3)]
            params = [{"key": f"p{n}", "value": str(chance.randrange(10))} for n in range(3)]
            caller.post("runs/log-batch", run_id=run, metrics=metrics, params=params)


Call = Callable[[Caller, int], Any]
Measured = tuple[float, float]


def log_metric(server: Server) -> Call:
    return lambda caller, number: caller.post(
        "runs/log-metric", run_id=server.run_id, key=f"m{number % 10}", value=0.5, timestamp=number, step=number
    )


def log_batch(server: Server) -> Call:
    def call(caller: Caller, number: int) -> Any:
        points = [{"key": f"k{n % 10}", "value": 0.5, "timestamp": number, "step": n} for n in range(1000)]
        return caller.post("runs/log-batch", run_id=server.run_id, metrics=points)

    return call


def whole_run(caller: Caller, number: int) -> Any:
    """A run with 10 params and 10 metrics one by one, and its end: 22 calls."""
    run = caller.post("runs/create", experiment_id="0", start_time=number)["run"]["info"]["run_id"]
    for index in range(10):
        caller.post("runs/log-parameter", run_id=run, key=f"p{index}", value="1")
        caller.post("runs/log-metric", run_id=run, key=f"m{index}", value=1.0, timestamp=1, step=0)
    return caller.post("runs/update", run_id=run, status="FINISHED", end_time=number + 1)


def search(server: Server, size: int) -> Call:
    return lambda caller, _: caller.post(
        "runs/search",
        experiment_ids=[server.experiments[size]],
        filter="metrics.m0 > 0.5 AND params.p0 = '3'",
        order_by=["metrics.m1 DESC"],
        max_results=100,
    )


def history(server: Server, points: int) -> Call:
    path = f"{API}metrics/get-history?run_id={server.run_id}&metric_key=long&max_results={points}"
    return lambda caller, _: caller.get(path)


def log_long_metric(server: Server, points: int) -> None:
    caller = Caller(server.port)
    for start in range(0, points, 1000):
        batch = [{"key": "long", "value": n / 7, "timestamp": n, "step": n} for n in range(start, start + 1000)]
        caller.post("runs/log-batch", run_id=server.run_id, metrics=batch)


def bare_transactions(folder: Path, seconds: float) -> float:
    """SQLite insert-and-commit a second on one connection, WAL and synchronous=FULL: the floor under every write."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (a INTEGER, b REAL)")
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        connection.execute("INSERT INTO t VALUES (?, ?)", (count, 0.5))
        count += 1
    return count / (time.perf_counter() - begun)


@dataclass
class Row:
    """One line of the table: what is done, how many times faster it is to be, and how its rate is measured."""

    what: str
    wanted: float
    measure: Callable[[Server], float]


def rows(folder: Path, sizes: list[int], seconds: float, points: int) -> list[Row]:
    """Every line of the table."""

    def calls(make: Callable[[Server], Call], connections: int = 1) -> Callable[[Server], float]:
        return lambda server: rate(server, make(server), connections=connections, seconds=seconds)

    def metrics(connections: int) -> Callable[[Server], float]:
        if shutil.which("wrk"):
            return lambda server: wrk_rate(server, folder, connections=connections, seconds=seconds)
        return calls(log_metric, connections)

    searches = [
        Row(f"search {size} runs, {connections} connections", 50, calls(partial(search, size=size), connections))
        for size in sizes
        for connections in (1, 8)
    ]
    return [
        *(Row(f"log-metric, {connections} connections", 100, metrics(connections)) for connections in (1, 8, 64)),
        Row("log-batch of 1000", 25, calls(log_batch)),
        Row("whole runs, plain client", 5, calls(lambda _: whole_run)),
        *searches,
        Row(f"history of {points} points", 20, calls(partial(history, points=points))),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlflow", help="the mlflow program to compare with; without it only ours is measured")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", help="postgresql://user@host:port, where databases may be created")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that an interrupted run leaves no servers behind
    sizes = [1000] if given.quick else [1000, 10_000, 100_000]
    seconds, rounds, points = (2.0, 1, 10_000) if given.quick else (5.0, given.rounds, 100_000)
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    try:
        figures = measure_all(given, folder, sizes, seconds, rounds, points)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.out:
        given.out.write_text(json.dumps(figures, indent=2))


def measure_all(
    given: argparse.Namespace, folder: Path, sizes: list[int], seconds: float, rounds: int, points: int
) -> dict[str, Any]:
    """Starts the servers, fills them alike, measures every row in interleaved rounds and prints the table."""
    with ExitStack() as stack:
        servers = [stack.enter_context(each) for each in contenders(given, folder)]
        for server in servers:
            print(f"{server.name}: first 200 after {server.start_s:.2f} s, {server.memory_mib():.0f} MiB", flush=True)
        for server in servers:
            begun = time.perf_counter()
            fill(server, sizes)
            log_long_metric(server, points)
            print(f"{server.name}: filled in {time.perf_counter() - begun:.0f} s", flush=True)
        figures: dict[str, Any] = {"limit: bare transactions/s": bare_transactions(folder, seconds)}
        print(f"limit: {figures['limit: bare transactions/s']:.0f} bare SQLite transactions/s", flush=True)
        ours = servers[0]
        null = rate(ours, lambda caller, _: caller.get("/health"), connections=1, seconds=seconds)
        figures["limit: empty handler/s"] = null
        print(f"limit: {null:.0f} empty handlers/s on 1 connection with this client", flush=True)
        for row in rows(folder, sizes, seconds, points):
            found: dict[str, list[Measured]] = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    found[server.name].append(measured(server, row))
            figures[row.what] = {"wanted": row.wanted} | {
                name: [list(one) for one in each] for name, each in found.items()
            }
            print(line(row, {name: median(each) for name, each in found.items()}), flush=True)
        for server in servers:
            figures[f"{server.name}: start s"] = server.start_s
            figures[f"{server.name}: MiB at the end"] = server.memory_mib()
            print(f"{server.name}: {server.memory_mib():.0f} MiB at the end", flush=True)
        return figures


def measured(server: Server, row: Row) -> Measured:
    """The rate, and the CPU milliseconds of the whole process tree for each call."""
    before, begun = server.cpu_s(), time.perf_counter()
    found = row.measure(server)
    elapsed = time.perf_counter() - begun
    return found, (server.cpu_s() - before) * 1000 / max(1.0, found * elapsed)


def median(each: list[Measured]) -> Measured:
    return statistics.median(one[0] for one in each), statistics.median(one[1] for one in each)


def line(row: Row, medians: dict[str, Measured]) -> str:
    """One printed row."""
    (_, (ours, our_cpu)), *others = medians.items()
    text = f"{row.what:<32} {ours:>9.1f}/s {our_cpu:>8.3f} ms CPU"
    for name, (theirs, cpu) in others:
        text += (
            f" | {name} {theirs:>8.2f}/s {cpu:>8.2f} ms: {ours / max(theirs, 1e-9):>6.1f}x, CPU {cpu / our_cpu:>5.0f}x"
        )
    return f"{text}   (wanted {row.wanted:g}x)"


def contenders(given: argparse.Namespace, folder: Path) -> Iterator[Any]:
    """Ours, then MLflow's with its default workers and with one."""
    port = free_port()
    ours = folder / "penstock"
    ours.mkdir()
    uri = f"sqlite:///{ours / 'store.db'}" if not given.postgres else database(given.postgres, "penstock")
    yield started("penstock", [sys.executable, "-c", SERVE, uri, str(port), str(ours / "artifacts")], port, ours)
    for name, workers in (("mlflow", "4"), ("mlflow-w1", "1")) if given.mlflow else ():
        if given.quick and workers == "4":
            continue
        place = folder / name
        place.mkdir()
        port = free_port()
        uri = f"sqlite:///{place / 'mlflow.db'}" if not given.postgres else database(given.postgres, name)
        command = [str(Path(given.mlflow).absolute()), "server", "--port", str(port), "--workers", workers]
        yield started(name, [*command, "--backend-store-uri", uri], port, place)


def database(cluster: str, name: str) -> str:
    import psycopg

    title = f"bench_{name.replace('-', '_')}_{os.getpid()}"
    with psycopg.connect(f"{cluster.rstrip('/')}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {title}".encode())
    return f"{cluster.rstrip('/')}/{title}"


if __name__ == "__main__":
    main()
