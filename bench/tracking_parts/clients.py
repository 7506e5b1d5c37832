"""A notebook's loop in the real client: runs with 10 params and 10 metrics, one by one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tracking_parts.load import Caller
from tracking_parts.servers import Server

PROGRAM = """
import importlib, os, sys, time
name, uri, experiment, seconds = sys.argv[1:]
client = importlib.import_module(name)
client.set_tracking_uri(uri)
client.set_experiment(experiment)

def one_run():
    with client.start_run():
        for index in range(10):
            client.log_param(f"p{index}", index)
        for index in range(10):
            client.log_metric(f"m{index}", 0.5)

one_run()
begun, cpu, count = time.perf_counter(), time.process_time(), 0
while time.perf_counter() - begun < float(seconds):
    one_run()
    count += 1
elapsed = time.perf_counter() - begun
print(count, elapsed, time.process_time() - cpu)
"""


def runs_per_second(server: Server, python: Path, module: str, *, seconds: float) -> tuple[float, float]:
    """Runs a second, and the CPU milliseconds that the client itself spent on each; every run is looked for after."""
    experiment = f"client {module} {os.urandom(4).hex()}"
    command = [str(python), "-c", PROGRAM, module, f"http://127.0.0.1:{server.port}", experiment, str(seconds)]
    environment = dict(os.environ, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true", PYTHONWARNINGS="ignore")
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd="/")
    count, elapsed, cpu = map(float, done.stdout.splitlines()[-1].split())
    _check(server, experiment, int(count) + 1)
    return count / elapsed, cpu * 1000 / count


def _check(server: Server, experiment: str, count: int) -> None:
    caller = Caller(server.port)
    path = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={experiment.replace(' ', '%20')}"
    number = caller.get(path)["experiment"]["experiment_id"]
    runs = caller.post("runs/search", experiment_ids=[number], max_results=10_000)["runs"]
    whole = [
        run
        for run in runs
        if run["info"]["status"] == "FINISHED" and len(run["data"]["metrics"]) == len(run["data"]["params"]) == 10
    ]
    if len(whole) != count:
        raise SystemExit(f"{server.name}: {len(whole)} of {count} runs of the client are there and whole")
