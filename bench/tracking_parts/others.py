"""What the runs of other experiments cost a search: the same 1 000 runs alone in a store, and beside 110 000 others."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

from penstock.store.open import Store, open_store
from tracking_parts.seeding import fill
from tracking_parts.servers import running

SIZE = 1000


def cost_of_others(store: str, folder: Path, seconds: float) -> dict[str, float]:
    """Milliseconds of a search in each of the two stores, medians of calls that take turns."""
    crowded = running(folder / "servers.json")["penstock"].uri
    number = json.loads((folder / "penstock.json").read_text())["experiments"][str(SIZE)]
    with open_store(_alone(store, folder)) as alone, open_store(crowded) as beside:
        there = [each.experiment_id for each in alone.tracking.search_experiments(filter="name = 'alone'").items]
        experiment = there[0] if there else alone.tracking.create_experiment("alone")
        if not there:
            fill(_alone(store, folder), {SIZE: int(experiment)}, mlflow=False)
        pairs = {"alone": (alone, experiment), "beside 110,000 others": (beside, str(number))}
        took: dict[str, list[float]] = {name: [] for name in pairs}
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            for name, (opened, experiment) in pairs.items():
                took[name].append(_search_ms(opened, experiment))
    medians = {name: statistics.median(each) for name, each in took.items()}
    print(store, "a search in an experiment of 1,000 runs, ms:", medians, flush=True)
    return medians


def _search_ms(store: Store, experiment: str) -> float:
    begun = time.perf_counter()
    store.tracking.search_runs(
        [experiment], filter="metrics.m0 > 0.5 AND params.p0 = '3'", order_by=["metrics.m1 DESC"], limit=100
    )
    return (time.perf_counter() - begun) * 1000


def _alone(store: str, folder: Path) -> str:
    if store == "sqlite":
        return f"sqlite:///{folder / 'alone.db'}"
    import psycopg

    prefix = running(folder / "servers.json")["penstock"].uri.rpartition("/")[0]
    with psycopg.connect(f"{prefix}/postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'alone'").fetchone():
            connection.execute("CREATE DATABASE alone")
    return f"{prefix}/alone"
