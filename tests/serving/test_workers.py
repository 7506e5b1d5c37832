"""Several workers: one socket, deaths answered and made good, no orphan left."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.served import DEADLINE_S, Served
from serving.tricky_model import DIE, WAIT

Serve = Callable[..., Served]


def ask(served: Served, *row: float) -> Any:
    return served.invoke({"inputs": [list(row)]})


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def pair(tricky_folder: Path, serve_folder: Serve, gate: Path) -> Served:
    """Two workers."""
    served = serve_folder(tricky_folder, "--workers", "2", environment={"TRICKY_GATE": str(gate)})
    return served.wait_ready()


def test_the_workers_share_one_port_and_end_together(pair: Served) -> None:
    workers = children(pair.process.pid)
    assert len(workers) == 2
    assert all(ask(pair, 1, number).json == {"predictions": [1 + number]} for number in range(20))
    assert pair.stop() == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_dead_workers_request_gets_an_error_and_the_worker_a_successor(pair: Served) -> None:
    before = set(children(pair.process.pid))
    answer = ask(pair, DIE, 0)
    assert answer.status == 500
    assert "worker" in answer.json["message"]
    until(lambda: len(now := set(children(pair.process.pid))) == 2 and now != before)
    assert all(ask(pair, 1, number).json == {"predictions": [1 + number]} for number in range(20))
    assert "SIGKILL" in pair.log.read_text()
    assert "penstock_worker_restarts_total 1" in pair.call("GET", "/metrics").body.decode()


def test_a_death_takes_only_its_own_worker_and_closes_idle_connections(pair: Served) -> None:
    idle = [socket.create_connection(("127.0.0.1", pair.port), timeout=DEADLINE_S) for _ in range(8)]
    for number in range(2):  # the second ask may meet the other worker, or the successor
        assert ask(pair, DIE, number).status == 500
    until(lambda: len(children(pair.process.pid)) == 2)
    assert ask(pair, 1, 2).json == {"predictions": [3]}
    for sock in idle:
        sock.close()


def test_a_stop_lets_answers_under_way_finish(pair: Served, gate: Path) -> None:
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(ask(pair, WAIT, 1)))
    asking.start()
    until(lambda: any("penstock-predict" in names(worker) for worker in children(pair.process.pid)))
    pair.process.terminate()
    gate.touch()
    asking.join(DEADLINE_S)
    assert answers[0].json == {"predictions": [WAIT + 1]}
    assert pair.process.wait(DEADLINE_S) == 0


def names(process: int) -> str:
    """The states of the process's threads; the predicting one is known by running aside."""
    tasks = Path(f"/proc/{process}/task")
    return "penstock-predict" if len(list(tasks.iterdir())) > 1 else ""


def test_a_killed_supervisor_leaves_no_worker(pair: Served) -> None:
    workers = children(pair.process.pid)
    pair.process.kill()
    pair.process.wait(DEADLINE_S)
    until(lambda: not any(_alive(worker) for worker in workers))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
