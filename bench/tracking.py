"""How far Penstock's tracking server is ahead of `mlflow server`: every row on SQLite and on PostgreSQL.

    python bench/tracking.py all    --mlflow .venvs/mlflow/bin/mlflow      everything, both stores: about an hour
    python bench/tracking.py up      --mlflow ... --store sqlite           start and fill the servers
    python bench/tracking.py measure --mlflow ... --store sqlite --rows writes,search     add figures to --out
    python bench/tracking.py down    --store sqlite                        stop them
    python bench/tracking.py report                                        the table of all that --out holds

`measure` is what needs a quiet machine; each of its parts (writes, worker, clients, search, history, growth, life,
others) is over in less than 300 seconds there, and --match picks single rows. Every row gives the medians of
interleaved rounds for both servers, their ratio, and beside them the limit of this machine: the same transactions or
query of the same database with no server around them, or an empty handler on the same HTTP server. Both servers keep
their rows on the same disk, only one of them works at a time, and the client is the same for both. PostgreSQL is one of
our own with its default settings; MLflow needs a driver for it (psycopg), which --drivers may name the folder of.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from tracking_parts import growth, report
from tracking_parts.load import Caller
from tracking_parts.others import cost_of_others
from tracking_parts.rows import POINTS, ROWS, SIZES, Place, Row
from tracking_parts.seeding import add_long_metric, fill, make_experiments
from tracking_parts.servers import Server, running, save, start, still_running
from tracking_parts.stores import STORES, Cluster, open_uris

PARTS = ("life", "worker", "writes", "clients", "search", "history", "others", "growth")
CONTENDERS = ("penstock", "mlflow", "mlflow-w1")


def main() -> None:
    given = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that an interrupted run leaves no servers behind
    if given.action == "report":
        print(report.table(given.out))
        if given.plot:
            given.plot.write_text(report.drawing(given.out))
        return
    for store in given.store:
        folder = given.work / store
        folder.mkdir(parents=True, exist_ok=True)
        act(given, store, folder)


def act(given: argparse.Namespace, store: str, folder: Path) -> None:
    """Does what was asked on one store."""
    if given.action in ("all", "up"):
        up(given, store, folder)
    try:
        if given.action in ("all", "measure"):
            measure(given, store, folder)
    finally:
        if given.action in ("all", "down"):
            down(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("all", "up", "measure", "down", "report"))
    parser.add_argument("--mlflow", type=Path, help="the mlflow program to compare with")
    parser.add_argument("--only", help="contenders to start, of penstock,mlflow,mlflow-w1")
    parser.add_argument("--store", type=lambda text: text.split(","), default=list(STORES))
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(PARTS), help="parts to measure")
    parser.add_argument("--match", default="", help="only rows whose name holds this text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--points", type=int, default=1_000_000, help="of the growing run")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "penstock-bench-tracking")
    parser.add_argument("--out", type=Path, default=Path("bench-tracking.json"))
    parser.add_argument("--drivers", default="", help="a folder with psycopg for MLflow")
    parser.add_argument("--plot", type=Path, help="with report: draw the growing run there, as SVG")
    return parser.parse_args()


def up(given: argparse.Namespace, store: str, folder: Path) -> None:
    """Starts the contenders (anew, if they run), fills what is not filled yet, and waits until all are at rest."""
    names = given.only.split(",") if given.only else CONTENDERS
    uris = open_uris(store, names, folder)
    servers = still_running(folder / "servers.json")
    for name in names:
        if name in servers:
            servers.pop(name).stop()
    try:
        for name in names:
            servers[name] = start(name, uris[name], folder, mlflow=given.mlflow, drivers=given.drivers)
            save(servers, folder / "servers.json")
            prepare(servers[name], folder)
        for server in servers.values():
            cpu_s = server.settle()
            print(f"{store} {server.name}: first 200 after {server.start_s:.2f} s, at rest after {cpu_s:.1f} CPU s, "
                  f"{server.memory_mib():.0f} MiB", flush=True)  # fmt: skip
    except BaseException:
        down(folder)
        raise


def prepare(server: Server, folder: Path) -> None:
    """The server's experiments and runs, once; where they are is kept in a file."""
    path = folder / f"{server.name}.json"
    if path.exists():
        return
    begun, is_mlflow = time.perf_counter(), server.name != "penstock"
    sizes = () if server.name == "mlflow-w1" else SIZES
    experiments = make_experiments(server.port, sizes)
    fill(server.uri, experiments, mlflow=is_mlflow)
    caller = Caller(server.port)
    runs = [caller.post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"] for _ in range(2)]
    add_long_metric(server.uri, runs[1], range(POINTS), mlflow=is_mlflow)
    kept = {"experiments": experiments, "run_id": runs[0], "long_id": runs[1]}
    path.write_text(json.dumps(kept))
    print(f"{server.name}: filled in {time.perf_counter() - begun:.0f} s", flush=True)


def down(folder: Path) -> None:
    """Stops everything that ``up`` started."""
    path = folder / "servers.json"
    if path.exists():
        for fields in json.loads(path.read_text()).values():
            Server(**fields).stop()
        path.unlink()
    Cluster(folder / "cluster").stop()


def place_of(server: Server, given: argparse.Namespace, folder: Path) -> Place:
    kept = json.loads((folder / f"{server.name}.json").read_text())
    experiments = {int(size): number for size, number in kept["experiments"].items()}
    return Place(experiments, kept["run_id"], kept["long_id"], given.seconds, folder, given.mlflow)


def measure(given: argparse.Namespace, store: str, folder: Path) -> None:
    """Measures the parts asked for and keeps their figures."""
    servers = running(folder / "servers.json")
    places = {name: place_of(server, given, folder) for name, server in servers.items()}
    for row in ROWS:
        if row.part in given.rows and given.match in row.what:
            figures = measured(row, servers, places, given.rounds)
            report.add(given.out, store, "rows", row.what, figures)
            print(store, row.what, report.medians(figures["rounds"]), f"limit {figures['limit']:.0f}", flush=True)
    if "life" in given.rows:
        life(given, store, folder, servers)
    if "others" in given.rows:
        report.add(given.out, store, "others", "search 1,000 runs, ms", cost_of_others(store, folder, given.seconds))
    if "growth" in given.rows:
        for name in ("penstock", "mlflow"):
            if name in servers:
                curves = growth.grow(servers[name], places[name], given.points)
                report.add(given.out, store, "growth", name, curves)
                print(store, name, curves, flush=True)


def measured(row: Row, servers: dict[str, Server], places: dict[str, Place], rounds: int) -> report.Figures:
    """Every round of every contender of one row, in turn, and the limit."""
    wanted = [name for name in ("penstock", row.against) if name in servers]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
    for _ in range(rounds):
        for name in wanted:
            found[name].append(row.measure(servers[name], places[name]))
    limit = row.limit(servers["penstock"].uri, places["penstock"]) if row.limit else 0.0
    return {"rounds": found, "limit": limit}


def life(given: argparse.Namespace, store: str, folder: Path, servers: dict[str, Server]) -> None:
    """Seconds to the first 200 of a second server on the same rows, and the memory of those at rest."""
    starts: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for name in (name for name in ("penstock", "mlflow") if name in servers):
        memory[name] = [servers[name].memory_mib()]
        for _ in range(given.rounds if name == "penstock" else 1):
            second = start(name, servers[name].uri, folder, mlflow=given.mlflow, drivers=given.drivers)
            starts.setdefault(name, []).append(second.start_s)
            second.stop()
    report.add(given.out, store, "life", "start to first 200, s", {"wanted": "1 s"} | starts)
    report.add(given.out, store, "life", "memory of the process tree, MiB", {"wanted": "150 MiB"} | memory)
    print(store, starts, memory, flush=True)


if __name__ == "__main__":
    main()
