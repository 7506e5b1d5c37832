"""A server that goes away in the middle of a run: nothing waits, nothing is lost, nothing is sent twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import penstock as mlflow
from penstock.api.recording.spool import list_spools
from penstock.api.sync import sync
from wire.away import check_arrived, write_while_away
from wire.mlflow_servers import free_port
from wire.peers import our_server

POINTS = 3000

# Logs half, is told that the server is gone, logs the rest and ends.
TRAINING = f"""
import sys, penstock as mlflow
run = mlflow.start_run()
for step in range({POINTS // 2}):
    mlflow.log_metric("loss", step, step=step)
mlflow.flush()
print(run.info.run_id, flush=True)
sys.stdin.readline()
for step in range({POINTS // 2}, {POINTS}):
    mlflow.log_metric("loss", step, step=step)
mlflow.set_tag("late", "yes")
mlflow.log_param("late", "yes")
mlflow.end_run()
print("ended", flush=True)
"""


def test_a_run_outlives_its_server(tmp_path: Path, state_dir: Path) -> None:
    with our_server(tmp_path / "server") as url:
        training = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TRAINING],
            env={**os.environ, "MLFLOW_TRACKING_URI": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert training.stdout is not None
        assert training.stdin is not None
        run_id = training.stdout.readline().strip()
    training.stdin.write("\n")
    training.stdin.close()
    assert training.stdout.readline() == "ended\n"
    training.stdout.close()
    assert training.wait(60) == 0

    assert sync().waiting > 0
    assert len(list_spools(state_dir)) == 1
    with our_server(tmp_path / "server", port=urlsplit(url).port or 0):
        report = sync()
        assert (report.waiting, report.refused) == (0, ())
        assert report.sent > 0
        client = mlflow.MlflowClient(url)
        run = client.get_run(run_id)
        assert (run.info.status, run.data.params, run.data.tags["late"]) == ("FINISHED", {"late": "yes"}, "yes")
        history = client.get_metric_history(run_id, "loss")
        assert [(point.step, point.value) for point in history] == [(step, float(step)) for step in range(POINTS)]
        assert sync().sent == 0
    assert list_spools(state_dir) == []


@pytest.mark.usefixtures("state_dir")
def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with our_server(tmp_path / "server") as url:
        client = mlflow.MlflowClient(url)
        run_id = client.create_run("0").info.run_id
        client.log_metric(run_id, "m", 0, step=0, synchronous=True)
    client.log_metric(run_id, "m", 1, step=1, synchronous=True)
    recorder = client._connection.recorder
    assert recorder.is_spooling
    with our_server(tmp_path / "server", port=urlsplit(url).port or 0):
        recorder.close()
        assert not recorder.is_spooling
        client.log_metric(run_id, "m", 2, step=2, synchronous=True)
        assert [point.step for point in client.get_metric_history(run_id, "m")] == [0, 1, 2]


def test_a_run_that_starts_without_a_server_arrives_whole_and_once(tmp_path: Path, state_dir: Path) -> None:
    with free_port() as port:
        url = f"http://127.0.0.1:{port}"
        written = write_while_away(url, tmp_path / "work")
        (spool,) = list_spools(state_dir)
        kept = {path.name: path.read_bytes() for path in spool.folder.iterdir()}
    with our_server(tmp_path / "server", port=port):
        assert (sync().waiting, sync().sent) == (0, 0)
        check_arrived(url, written, tmp_path / "once", keeps_ids=True)
        for name, content in kept.items():  # as after a crash before the first acknowledgement: all of it once more
            (spool.folder / name).write_bytes(content)
        again = sync()
        assert (again.refused, again.waiting) == ((), 0)
        check_arrived(url, written, tmp_path / "twice", keeps_ids=True)
    assert not [path for path in spool.folder.iterdir() if path.name != ".lock"]
