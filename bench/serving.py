"""The model server beside its peers: requests a second, time, CPU, memory and start.

    python bench/serving.py prepare              the models and the peers' environments (minutes, once)
    python bench/serving.py run [PART...]        measures; each part takes under five minutes of a quiet machine
    python bench/serving.py run --brief          all parts in five minutes, beside MLflow and a hand-written app alone
    python bench/serving.py report               the tables, and each goal with what was seen

Every server has one worker pinned to one core and wrk another; rounds are interleaved and medians kept, beside the
physical limits: the model and its compiled form called in process, and a handler that returns a constant on the same
HTTP stack. Each part adds its figures to one JSON file, so that a run may be done part by part.
"""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from serving_peers import limits, report
from serving_peers.measure import Figures, Running, ask, measure, memory_mib, started
from serving_peers.servers import HERE, MLFLOW, ROOT, Server, make_environments
from serving_peers.works import ALL, BRIEF, OWN, PARTS, TABLES, Part, Work, body_of, path_of

CACHE = ROOT / ".cache" / "bench-serving"
MODELS = ("null", "iris", "boosting", "forest")


def prepare(directory: Path) -> None:
    """The models and the environments that are missing."""
    make_environments()
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, str(HERE / "models.py"), str(directory), *MODELS], check=True)


def run_part(part: Part, directory: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one part: by work, by server."""
    folder = directory / part.model
    servers = [server for server in part.servers if server in BRIEF or not options.brief]
    with ExitStack() as stack:
        work_place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = {server: stack.enter_context(started(server, folder, work_place)) for server in servers}
        works = {work.name: run_work(work, folder, running, options, work_place) for work in part.works}
    in_process = {rows: limits.of_rows(folder, rows) for rows in {work.rows for work in part.works}}
    return {"works": works, "limits": {work.name: in_process[work.rows] for work in part.works}}


def run_work(
    work: Work, folder: Path, running: dict[Server, Running], options: argparse.Namespace, place: Path
) -> dict[str, Any]:
    """Interleaved rounds of one work; medians by server, with the lowest and the highest rate."""

    def window(server: Server, seconds: int) -> Figures:
        body, path = body_of(folder, work, server), path_of(work, server)
        return measure(running[server], body, path, work.connections, seconds, place)

    if work.format != "json":
        running = {server: each for server, each in running.items() if server in TABLES}
    for server in running:
        ask(running[server], body_of(folder, work, server), path_of(work, server))
        window(server, 1)  # warm
    rounds = [{server: window(server, options.seconds) for server in running} for _ in range(options.rounds)]
    found = {}
    for server in running:
        columns = list(zip(*(each[server] for each in rounds), strict=True))
        medians = Figures(*(statistics.median(column) for column in columns))
        found[server.name] = {**medians._asdict(), "rps_low": min(columns[0]), "rps_high": max(columns[0])}
        found[server.name]["foreign"] = max(columns[Figures._fields.index("foreign")])
    return found


def run_start(directory: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each server started alone, in turns: seconds to its first ready answer, then MiB after a few predictions."""
    folder, work = directory / "iris", PARTS["iris"].works[0]
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(options.rounds):
            for server in ALL if not options.brief else (*OWN, MLFLOW):
                with started(server, folder, Path(name)) as running:
                    for _ in range(50):
                        ask(running, body_of(folder, work, server), path_of(work, server))
                    entry = found.setdefault(server.name, {"start_s": [], "memory_mib": []})
                    entry["start_s"].append(running.start_s)
                    entry["memory_mib"].append(memory_mib(running.process.pid))
            library = found.setdefault("import of the model's library", {"start_s": []})
            library["start_s"].append(limits.library_s(folder))
            compiled = found.setdefault("import of onnxruntime", {"start_s": []})
            compiled["start_s"].append(limits.import_s("onnxruntime"))
    return {
        name: {figure: statistics.median(values) for figure, values in entry.items()} for name, entry in found.items()
    }


def add(results: Path, name: str, figures: dict[str, Any]) -> None:
    """Puts a part's figures into the file of results, beside those of other parts."""
    table = json.loads(results.read_text()) if results.exists() else {}
    table[name] = {"measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"), **figures}
    results.write_text(json.dumps(table, indent=1))


def main() -> None:
    """Prepares, measures or reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("prepare", "run", "report"))
    parser.add_argument("parts", nargs="*", help=f"of {', '.join((*PARTS, 'start'))}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--brief", action="store_true", help="short rounds, fewer peers")
    parser.add_argument("--models", type=Path, default=CACHE, help="where the models are kept")
    parser.add_argument("--results", type=Path, default=CACHE / "results.json")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a run that is stopped leaves no server behind
    if options.brief:
        options.seconds = 1
    if options.action == "prepare":
        prepare(options.models)
    elif options.action == "run":
        for name in options.parts or (*PARTS, "start"):
            is_start = name == "start"
            add(options.results, name, run_start(options.models, options) if is_start else
                run_part(PARTS[name], options.models, options))  # fmt: skip
            report.show(json.loads(options.results.read_text()), [name])
    else:
        report.show(json.loads(options.results.read_text()), options.parts)
        report.show_goals(json.loads(options.results.read_text()))


if __name__ == "__main__":
    main()
