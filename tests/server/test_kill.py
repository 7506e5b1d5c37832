"""Acknowledged means kept: the server is killed with SIGKILL under load, and what was answered 200 is there.

PENSTOCK_KILLS sets how often (a few by default, to keep the suite short).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.ground.entities import Metric
from penstock.store.open import open_store
from server.running import Client

KILLS = int(os.environ.get("PENSTOCK_KILLS", "4"))
WRITERS = 6
PROGRAM = """
import sys
from penstock.server.context import ServerOptions
from penstock.server.serve import serve
serve(
    ServerOptions(store_uri=sys.argv[1], port=0, workers=int(sys.argv[2]), artifacts_destination=sys.argv[3]),
    ready=lambda address: print(address[1], flush=True),
)
"""


class Killable:
    """A server in a process group of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        arguments = [f"sqlite:///{folder / 'store.db'}", str(workers), str(folder / "artifacts")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Load(threading.Thread):
    """Logs points and params as fast as it is answered, and remembers what was acknowledged."""

    def __init__(self, port: int, run_id: str, name: str, kept: list[tuple[str, str, int]]) -> None:
        super().__init__()
        self.port, self.run_id, self.key, self.kept = port, run_id, name, kept

    def run(self) -> None:
        client = Client(self.port)
        try:
            for step in range(1_000_000):
                if step % 4:
                    fields = {"key": self.key, "value": step, "timestamp": step, "step": step}
                    answer = client.post("runs/log-metric", run_id=self.run_id, **fields)
                else:
                    answer = client.post("runs/log-parameter", run_id=self.run_id, key=f"{self.key}/{step}", value="x")
                assert answer.status == 200, answer.body
                self.kept.append(("metric" if step % 4 else "param", self.key, step))
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass  # killed
        finally:
            client.close()


def one_run(port: int) -> str:
    client = Client(port)
    run_id = client.make_run()
    client.close()
    return run_id


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, workers: int) -> None:
    chance = random.Random(7)
    kept: list[tuple[str, str, int]] = []
    run_id = ""
    for round_number in range(KILLS):
        server = Killable(tmp_path, workers)
        run_id = run_id or one_run(server.port)
        load = [Load(server.port, run_id, f"w{round_number}.{number}", kept) for number in range(WRITERS)]
        for thread in load:
            thread.start()
        enough = len(kept) + chance.randrange(20, 200)
        deadline = time.monotonic() + 20
        while len(kept) < enough and time.monotonic() < deadline:
            time.sleep(0.001)
        server.kill()
        for thread in load:
            thread.join()
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        run = store.tracking.get_run(run_id)
        params = {param.key for param in run.data.params}
        latest = {metric.key: metric for metric in run.data.metrics}
        points: dict[str, set[int]] = {
            key: {point.step for point in store.tracking.metric_history(run_id, key).items} for key in latest
        }
    assert len(kept) >= KILLS * 20
    for kind, key, step in kept:
        assert step in points[key] if kind == "metric" else f"{key}/{step}" in params
    for key, metric in latest.items():
        assert metric == Metric(key=key, value=max(points[key]), timestamp_ms=max(points[key]), step=max(points[key]))


def test_two_servers_that_start_at_once_share_one_new_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        servers = list(pool.map(lambda workers: Killable(tmp_path, workers), (1, 2)))
    run_id = one_run(servers[0].port)
    kept: list[tuple[str, str, int]] = []
    load = [Load(server.port, run_id, f"w{place}", kept) for place, server in enumerate(servers * 2)]
    for thread in load:
        thread.start()
    deadline = time.monotonic() + 20
    while len(kept) < 40 and time.monotonic() < deadline:
        time.sleep(0.001)
    for server in servers:
        server.kill()
    for thread in load:
        thread.join()
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        run = store.tracking.get_run(run_id)
        points = {(metric.key, point.step) for metric in run.data.metrics
                  for point in store.tracking.metric_history(run_id, metric.key).items}  # fmt: skip
        params = {param.key for param in run.data.params}
    assert len(kept) >= 40
    for kind, key, step in kept:
        assert (key, step) in points if kind == "metric" else f"{key}/{step}" in params


def test_a_terminated_server_answers_what_it_was_asked_and_ends_cleanly(tmp_path: Path) -> None:
    server = Killable(tmp_path, 2)
    run_id = one_run(server.port)
    kept: list[tuple[str, str, int]] = []
    load = [Load(server.port, run_id, f"w{number}", kept) for number in range(4)]
    for thread in load:
        thread.start()
    deadline = time.monotonic() + 20
    while len(kept) < 50 and time.monotonic() < deadline:
        time.sleep(0.001)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    for thread in load:
        thread.join()
    assert len(kept) >= 50
    assert server.process.stdout is not None
    server.process.stdout.close()
