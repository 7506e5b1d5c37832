"""The tables of a results file, and each goal with what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving_peers.servers import FASTAPI, MLFLOW, OPTIMIZED, PENSTOCK
from serving_peers.works import GOALS, OWN

Table = dict[str, Any]
_HIGHER = ("rps",)


def show(results: Table, parts: Sequence[str]) -> None:
    """Prints the tables of these parts, of all by default."""
    for name in parts or list(results):
        part = results[name]
        if name == "start":
            _show_start(part)
        else:
            for work, servers in part["works"].items():
                _show_work(work, servers, part["limits"][work])


def _show_work(work: str, servers: Table, limits: Table) -> None:
    peers = [name for name in (MLFLOW.name, FASTAPI.name) if name in servers]
    print(f"\n{work}")
    print(f"  {'':24}{'req/s':>9}{'low':>9}{'high':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}", end="")
    print("".join(f"{'x ' + name:>18}" for name in peers) + f"{'errors':>8}{'foreign CPUs':>14}")
    for name, found in servers.items():
        print(f"  {name:24}{found['rps']:9,.0f}{found['rps_low']:9,.0f}{found['rps_high']:9,.0f}", end="")
        print(f"{found['p50_ms']:9.2f}{found['p99_ms']:9.2f}{found['cpu_us']:9.0f}", end="")
        print("".join(f"{found['rps'] / servers[peer]['rps']:18.1f}" for peer in peers), end="")
        print(f"{found['errors']:8.0f}{found['foreign']:14.2f}")
    print("  in process, calls a second: " + "; ".join(f"{name} {rps:,.0f}" for name, rps in limits.items()))


def _show_start(part: Table) -> None:
    print(f"\n{'started alone, iris':34}{'start s':>9}{'PSS MiB':>9}")
    for name, found in part.items():
        if name != "measured":
            memory = f"{found['memory_mib']:9.0f}" if "memory_mib" in found else ""
            print(f"  {name:32}{found['start_s']:9.2f}{memory}")


def show_goals(results: Table) -> None:
    """Prints each goal with what was seen."""
    works = {work: servers for part in results.values() for work, servers in part.get("works", {}).items()}
    print("\ngoals")
    for goal in GOALS:
        servers = works.get(goal.work, {})
        if goal.ours.name in servers and goal.theirs.name in servers:
            ours, theirs = (servers[each.name][goal.figure] for each in (goal.ours, goal.theirs))
            times = ours / theirs if goal.figure in _HIGHER else theirs / ours
            _goal(f"{goal.work}, {goal.figure}: {goal.ours.name} over {goal.theirs.name}", times, goal.times)
    _session_goal(results)
    if "start" in results:
        _start_goals(results["start"])


def _session_goal(results: Table) -> None:
    if "forest" in results:
        (work,) = results["forest"]["works"]
        ours = results["forest"]["works"][work][OPTIMIZED.name]["rps"]
        session = results["forest"]["limits"][work]["onnxruntime"]
        _goal(f"{work}: {OPTIMIZED.name} over onnxruntime in process", ours / session, 1 / 3)


def _start_goals(start: Table) -> None:
    for ours in OWN:
        for figure, times in (("memory_mib", 3), ("start_s", 4)):
            _goal(
                f"{figure}: {MLFLOW.name} over {ours.name}",
                start[MLFLOW.name][figure] / start[ours.name][figure],
                times,
            )
    library = start["import of the model's library"]["start_s"]
    _goal(f"import of the library over start of {PENSTOCK.name}", library / start[PENSTOCK.name]["start_s"], 1 / 1.2)


def _goal(text: str, seen: float, wanted: float) -> None:
    print(f"  {'holds ' if seen >= wanted else 'missed'}{seen:9.2f} of {wanted:7.2f}  {text}")
