"""The contenders: started, settled, measured from outside as whole process trees, and stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tracking_parts.load import Caller

SETTLED_CPU = 0.15
SETTLE_LIMIT_S = 150.0
PEERS = {"mlflow": "4", "mlflow-w1": "1"}


@dataclass
class Server:
    """A running tracking server, the seconds until its first 200, and where it keeps its rows."""

    name: str
    port: int
    pid: int
    start_s: float
    uri: str

    def cpu_s(self) -> float:
        """CPU seconds of the whole process tree so far."""
        return sum(map(_cpu_s, tree(self.pid)))

    def memory_mib(self) -> float:
        """The proportional set size of the whole process tree."""
        return sum(map(_memory_kib, tree(self.pid))) / 1024

    def settle(self) -> float:
        """Waits until the server is at rest; gives the CPU seconds it took from its start."""
        deadline = time.monotonic() + SETTLE_LIMIT_S
        before = self.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(3)
            now = self.cpu_s()
            if (now - before) / 3 < SETTLED_CPU:
                return now
            before = now
        raise SystemExit(f"{self.name} did not come to rest in {SETTLE_LIMIT_S:.0f} s")

    def stop(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 20
        while _alive(self.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _alive(self.pid):
            os.killpg(self.pid, signal.SIGKILL)


def start(name: str, uri: str, folder: Path, *, mlflow: Path | None, drivers: str = "") -> Server:
    """The server ``name`` on ``uri`` once it answers 200."""
    port = free_port()
    command = _command(name, uri, port, folder, mlflow)
    environment = dict(os.environ, PYTHONPATH=drivers) if drivers and name in PEERS else dict(os.environ)
    begun = time.perf_counter()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True, env=environment)
    while True:
        if process.poll() is not None:
            raise SystemExit(f"{name} ended: {(folder / f'{name}.log').read_text()[-2000:]}")
        try:
            Caller(port).get("/health")
        except OSError:
            time.sleep(0.005)
            continue
        return Server(name, port, process.pid, time.perf_counter() - begun, uri)


def save(servers: dict[str, Server], path: Path) -> None:
    path.write_text(json.dumps({name: asdict(server) for name, server in servers.items()}))


def running(path: Path) -> dict[str, Server]:
    """The servers that an earlier call started. Raises SystemExit when ours is not among them."""
    servers = still_running(path)
    if "penstock" not in servers:
        raise SystemExit("No servers run: call 'up' first.")
    return servers


def still_running(path: Path) -> dict[str, Server]:
    """The servers of an earlier call that have not ended."""
    if not path.exists():
        return {}
    servers = {name: Server(**fields) for name, fields in json.loads(path.read_text()).items()}
    return {name: server for name, server in servers.items() if _alive(server.pid)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def _command(name: str, uri: str, port: int, folder: Path, mlflow: Path | None) -> list[str]:
    flags = ["server", "--port", str(port), "--backend-store-uri", uri]
    if name not in PEERS:
        program = str(Path(sys.executable).parent / "penstock")
        return [program, *flags, "--artifacts-destination", str(folder / f"{name}-artifacts")]
    if mlflow is None:
        raise SystemExit("--mlflow names the program to compare with.")
    return [str(mlflow.absolute()), *flags, "--workers", PEERS[name]]


def _cpu_s(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_kib(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
