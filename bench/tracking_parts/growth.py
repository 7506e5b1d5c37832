"""A million metric points in one run: what a batch, a page of history and a search cost as the table grows.

Ours are all logged through its API. MLflow would need minutes for that, so between two checkpoints its points are
written straight into its tables, and at each checkpoint the same calls are timed through its API.
"""

from __future__ import annotations

import statistics
from typing import Any

from tracking_parts.load import API, Caller, Line, Request, get, post
from tracking_parts.rows import Place, search
from tracking_parts.seeding import Writer
from tracking_parts.servers import Server

CHECKPOINTS = 10
PAGE = 1000
Curve = list[tuple[int, float]]  # (points in the table, milliseconds)


def grow(server: Server, place: Place, points: int) -> dict[str, Curve]:
    """For each kind of call its line, from an empty run to ``points`` points in it."""
    run = Caller(server.port).post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    lines: dict[str, Curve] = {"log-batch of 1000": [], "history, a page of 1000": [], "search 10,000 runs": []}
    step = points // CHECKPOINTS
    for done in range(0, points + 1, step):
        for name, milliseconds in _checkpoint(server, place, run, done).items():
            lines[name].append((done, milliseconds))
        if done < points:
            advance(server, run, done + 3 * PAGE, done + step)
    return lines


def advance(server: Server, run: str, first: int, last: int) -> None:
    """Brings the run's points up to ``last``."""
    if server.name == "penstock":
        caller = Caller(server.port)
        for start in range(first, last, PAGE):
            caller.post("runs/log-batch", run_id=run, metrics=_points(start))
    else:
        with Writer(server.uri) as writer:
            rows = [("long", n / 7, n, n, False, run) for n in range(first, last)]
            writer.write({"metrics": ("key,value,timestamp,step,is_nan,run_uuid", rows)})
            writer.finish(own=False)


def _checkpoint(server: Server, place: Place, run: str, done: int) -> dict[str, float]:
    batches = iter(range(done, done + 3 * PAGE, PAGE))
    path = f"{API}metrics/get-history?run_id={run}&metric_key=long&max_results={PAGE}"
    calls: dict[str, tuple[Request, int]] = {
        "log-batch of 1000": (lambda _: post("runs/log-batch", {"run_id": run, "metrics": _points(next(batches))}), 3),
        "history, a page of 1000": (lambda _: get(path), 5),
        "search 10,000 runs": (search(10_000)(place), 3),
    }
    return {name: _median_ms(server, *call) for name, call in calls.items()}


def _median_ms(server: Server, request: Request, count: int) -> float:
    line = Line(server.port)
    took = []
    for number in range(count):
        line.send(request(number))
        while not line.receive():
            pass
        took.append(line.again())
    line.socket.close()
    return statistics.median(took) * 1000


def _points(start: int) -> list[dict[str, Any]]:
    return [{"key": "long", "value": n / 7, "timestamp": n, "step": n} for n in range(start, start + PAGE)]
