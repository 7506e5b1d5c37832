"""What is asked of the servers: the bodies, in which order, of whom; and what is aimed at."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from serving_peers.servers import (
    BENTOML,
    FASTAPI,
    LITSERVE,
    MLFLOW,
    MLSERVER,
    NULL_HANDLER,
    OPTIMIZED,
    PENSTOCK,
    Server,
)

ALL = (PENSTOCK, OPTIMIZED, MLFLOW, FASTAPI, BENTOML, MLSERVER, LITSERVE)
OWN = (PENSTOCK, OPTIMIZED)
BRIEF = (*OWN, MLFLOW, FASTAPI, NULL_HANDLER)
TABLES = (*OWN, MLFLOW, FASTAPI)
"""Those that take CSV and Parquet."""


class Body(NamedTuple):
    """A request's body and its Content-Type."""

    data: bytes
    type: str = "application/json"


class Work(NamedTuple):
    """One row of the table: so many rows in a format, by so many connections."""

    name: str
    rows: int
    connections: int
    format: str = "json"


class Part(NamedTuple):
    """What fits into one quiet stretch: one model on some servers, all started, asked in turns."""

    model: str
    servers: tuple[Server, ...]
    works: tuple[Work, ...]


PARTS = {
    "null": Part("null", (PENSTOCK, NULL_HANDLER), tuple(Work(f"null, 1 row, {n} conn.", 1, n) for n in (1, 16))),
    "iris-lone": Part("iris", ALL, (Work("iris, 1 row, 1 conn.", 1, 1),)),
    "iris": Part(
        "iris",
        ALL,
        (*(Work(f"iris, 1 row, {n} conn.", 1, n) for n in (16, 64)), Work("iris, 1000 rows of JSON", 1000, 1)),
    ),
    "forest": Part("forest", ALL, (Work("forest, 1 row, 16 conn.", 1, 16),)),
    "boosting": Part(
        "boosting",
        ALL,
        (
            Work("boosting, 1 row, 16 conn.", 1, 16),
            Work("boosting, 1000 rows of JSON", 1000, 1),
            Work("boosting, 1000 rows of CSV", 1000, 1, "csv"),
            Work("boosting, 1000 rows of Parquet", 1000, 1, "parquet"),
        ),
    ),
}


class Goal(NamedTuple):
    """``ours`` at least ``times`` as good as ``theirs``, in one figure of one work."""

    work: str
    ours: Server
    theirs: Server
    times: float
    figure: str = "rps"


GOALS = (
    Goal("null, 1 row, 16 conn.", PENSTOCK, NULL_HANDLER, 0.6),
    *(Goal(f"iris, 1 row, {n} conn.", OPTIMIZED, MLFLOW, times) for n, times in ((1, 20), (16, 50), (64, 60))),
    Goal("iris, 1 row, 16 conn.", OPTIMIZED, FASTAPI, 8),
    *(Goal(f"iris, 1 row, {n} conn.", PENSTOCK, MLFLOW, times) for n, times in ((1, 8), (16, 25), (64, 40))),
    Goal("forest, 1 row, 16 conn.", OPTIMIZED, MLFLOW, 300),
    Goal("boosting, 1 row, 16 conn.", OPTIMIZED, MLFLOW, 60),
    Goal("boosting, 1 row, 16 conn.", PENSTOCK, MLFLOW, 15),
    *(
        Goal(work, ours, MLFLOW, times)
        for work, times in (
            ("iris, 1000 rows of JSON", 5),
            ("boosting, 1000 rows of JSON", 3),
            ("boosting, 1000 rows of CSV", 1.6),
            ("boosting, 1000 rows of Parquet", 2),
        )
        for ours in OWN
    ),
    *(Goal("iris, 1 row, 16 conn.", ours, MLFLOW, 40, "cpu_us") for ours in OWN),
    *(Goal("iris, 1 row, 64 conn.", ours, MLFLOW, 20, "p99_ms") for ours in OWN),
)


def body_of(folder: Path, work: Work, server: Server) -> Body:
    """The work's rows for this server, made from the model's input example."""
    data, columns = _example(folder)
    rows = (data * work.rows)[: work.rows]
    if work.format == "csv":
        return Body(pd.DataFrame(rows, columns=columns).to_csv(index=False).encode(), "text/csv")
    if work.format == "parquet":
        file = io.BytesIO()
        pd.DataFrame(rows, columns=columns).to_parquet(file, index=False)
        return Body(file.getvalue(), "application/vnd.apache.parquet")
    if server is MLFLOW:  # it takes named columns only under their names
        return Body(json.dumps({"dataframe_split": {"columns": columns, "data": rows}}).encode())
    return Body(server.rewrite(json.dumps({"inputs": rows})).encode())


def path_of(work: Work, server: Server) -> str:
    """Where the work is posted; a hand-written app has a route a format."""
    return f"/{work.format}" if server is FASTAPI and work.format != "json" else server.path


def _example(folder: Path) -> tuple[list[list[float]], list[str]]:
    file = folder / "input_example.json"
    if not file.exists():
        return [[0.5] * 4], list("abcd")
    content = json.loads(file.read_text())
    return content["data"], content["columns"]
