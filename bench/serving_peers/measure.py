"""Starting a server on its core, asking it with wrk from another, and reading what it used."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from serving_peers.servers import Server
from serving_peers.works import Body

TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = "1", "0"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


class Figures(NamedTuple):
    """One window: requests a second, 50th and 99th percentile in ms, CPU of the whole process tree in us a request.

    ``foreign`` is how many CPUs others on this machine used meanwhile: above 0.1 or so the window was not quiet.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int
    foreign: float


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
    log = (work / f"{server.name.replace(' ', '-')}-{folder.name}.log").open("wb")
    begin = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command],
        stdout=log, stderr=log, env={**os.environ, **ONE_THREAD, **more}, start_new_session=True,
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
        time.sleep(0.002)
    raise RuntimeError(f"{url} never answered:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def ask(running: Running, body: Body, path: str) -> None:
    """One request, which must be answered well."""
    url = f"http://127.0.0.1:{running.port}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, body.data, {"content-type": body.type}), timeout=60) as it:
        assert it.status == 200, it.status


def measure(running: Running, body: Body, path: str, connections: int, seconds: int, work: Path) -> Figures:
    """One window of wrk with kept connections."""
    script, data = work / "wrk.lua", work / "wrk.body"
    data.write_bytes(body.data)
    script.write_text(
        f'wrk.method="POST"\nwrk.headers["content-type"]="{body.type}"\n'
        f'local f=io.open("{data}","rb")\nwrk.body=f:read("*a")\nf:close()\n'
        'done=function(s,l,r) io.write(string.format("F %d %d %f %f %d\\n", s.requests, s.duration,'
        "l:percentile(50), l:percentile(99), s.errors.status+s.errors.read+s.errors.timeout+s.errors.connect)) end\n"
    )
    before, busy, begin = cpu_s(running.process.pid), busy_s(), time.perf_counter()
    client = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    url = f"http://127.0.0.1:{running.port}{path}"
    out = subprocess.run([*command, "-s", str(script), url], check=True, capture_output=True, text=True).stdout
    used = cpu_s(running.process.pid) - before
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wrk_s = after.ru_utime + after.ru_stime - client.ru_utime - client.ru_stime
    foreign = (busy_s() - busy - used - wrk_s) / (time.perf_counter() - begin)
    found = re.search(r"F (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", out)
    assert found, out
    requests, duration_us = int(found[1]), int(found[2])
    return Figures(
        requests / duration_us * 1e6,
        float(found[3]) / 1000,
        float(found[4]) / 1000,
        used * 1e6 / max(requests, 1),
        int(found[5]),
        max(foreign, 0.0),
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


def busy_s() -> float:
    """CPU seconds that the machine has spent on anything."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / TICKS


def memory_mib(process: int) -> float:
    """Proportional set size of the process tree."""
    total = 0
    for each in tree(process):
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024
