"""The rows of the table: what is done, how many times faster it is to be, how its rate is measured, and its limit."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tracking_parts import limits
from tracking_parts.clients import runs_per_second
from tracking_parts.load import API, Request, get, post, rate
from tracking_parts.servers import Server

SIZES = (1000, 10_000, 100_000)
POINTS = 100_000
KEYS = 10


@dataclass
class Place:
    """What a row needs to know: where a server's experiments and runs are, and how long to measure."""

    experiments: dict[int, int]
    run_id: str  # takes what is logged
    long_id: str  # has a metric 'long' of POINTS points
    seconds: float
    folder: Path
    mlflow: Path | None

    @property
    def peer_python(self) -> Path:
        """The interpreter that has the real mlflow client."""
        if self.mlflow is None:
            raise SystemExit("--mlflow names the program to compare with.")
        return self.mlflow.absolute().parent / "python"


Measured = tuple[float, float]  # a second; CPU milliseconds each
Limit = Callable[[str, Place], float]


@dataclass
class Row:
    """One line of the table. ``against`` is who it is compared with."""

    what: str
    part: str
    wanted: float | dict[str, float]  # by store where it differs
    measure: Callable[[Server, Place], Measured]
    limit: Limit | None = None
    limit_is: str = ""
    against: str = "mlflow"


def load(make: Callable[[Place], Request], connections: int) -> Callable[[Server, Place], Measured]:
    """Measures requests of one kind over so many connections."""

    def measure(server: Server, place: Place) -> Measured:
        before = server.cpu_s()
        found, took = rate(server.port, make(place), connections=connections, seconds=place.seconds)
        return found, (server.cpu_s() - before) * 1000 / len(took)

    return measure


def log_metric(place: Place) -> Request:
    fields = {"run_id": place.run_id, "run_uuid": place.run_id, "value": 0.5}
    return lambda n: post("runs/log-metric", {**fields, "key": f"m{n % KEYS}", "timestamp": n, "step": n})


def log_batch(place: Place) -> Request:
    def request(number: int) -> bytes:
        points = [{"key": f"k{n % KEYS}", "value": n / 7, "timestamp": number, "step": n} for n in range(1000)]
        return post("runs/log-batch", {"run_id": place.run_id, "metrics": points})

    return request


def search(size: int) -> Callable[[Place], Request]:
    """A filter on a metric and a param, ordered by another metric; the bound differs from one request to the next."""

    def make(place: Place) -> Request:
        chance = random.Random(size)
        return lambda _: post(
            "runs/search",
            {
                "experiment_ids": [str(place.experiments[size])],
                "filter": f"metrics.m0 > {0.5 + chance.random() / 100} AND params.p0 = '3'",
                "order_by": ["metrics.m1 DESC"],
                "max_results": 100,
            },
        )

    return make


def history(place: Place) -> Request:
    path = f"{API}metrics/get-history?run_id={place.long_id}&metric_key=long&max_results={POINTS}"
    return lambda _: get(path)


def real_client(module: str, *, own: bool) -> Callable[[Server, Place], Measured]:
    """The notebook loop: the real mlflow client, or ours where the server is ours and ``own``."""

    def measure(server: Server, place: Place) -> Measured:
        is_own = own and server.name == "penstock"
        python, name = (Path(sys.executable), "penstock") if is_own else (place.peer_python, module)
        return runs_per_second(server, python, name, seconds=place.seconds)

    return measure


def _empty(connections: int) -> Limit:
    return lambda _, place: limits.empty_handler(connections, place.seconds)


def _transactions(rows: int) -> Limit:
    return lambda uri, place: limits.transactions(uri, place.folder, rows=rows, seconds=place.seconds)


def _found(size: int) -> Limit:
    return lambda uri, place: limits.queries(
        uri, limits.FOUND.format(experiment=place.experiments[size]), place.seconds
    )


def _points(uri: str, place: Place) -> float:
    run = f"(SELECT run_no FROM runs WHERE run_id = '{place.long_id}')"
    return limits.queries(uri, limits.POINTS.format(run=run), place.seconds)


ROWS: tuple[Row, ...] = (
    Row("log-metric, 1 connection", "writes", 100, load(log_metric, 1), _transactions(1), "bare transactions"),
    Row("log-metric, 1 connection, MLflow with 1 worker", "worker", 20, load(log_metric, 1), _empty(1),
        "empty handler", against="mlflow-w1"),
    Row("log-metric, 8 connections", "writes", 100, load(log_metric, 8), _empty(8), "empty handler"),
    Row("log-metric, 64 connections", "writes", 100, load(log_metric, 64), _empty(64), "empty handler"),
    Row("log-batch of 1000, 1 connection", "writes", {"sqlite": 25, "postgres": 6}, load(log_batch, 1),
        _transactions(1000), "bare transactions of 1000 rows"),
    Row("runs of 22 calls, MLflow's client on both", "clients", 5, real_client("mlflow", own=False)),
    Row("runs of 22 calls, each its own client", "clients", 50, real_client("mlflow", own=True)),
    *(
        Row(f"search {size:,} runs, {connections} connection{'s' * (connections > 1)}", "search", 50,
            load(search(size), connections), _found(size), "its bare SQL, 1 connection")
        for size in SIZES
        for connections in (1, 8)
    ),
    Row(f"get-history of {POINTS:,} points", "history", 20, load(history, 1), _points, "its bare SQL"),
)  # fmt: skip
