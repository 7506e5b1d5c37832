"""What it costs to begin: an empty interpreter, ``import penstock`` and ``penstock --help``, beside mlflow's.

    python bench/imports.py [--rounds 7] [--peer .venvs/mlflow/bin/python]

Prints medians of interleaved rounds in milliseconds over an empty interpreter's start, and the ratio to the peer.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

EMPTY = "empty interpreter"


def commands(ours: str, peer: str | None) -> dict[str, list[str]]:
    """What is timed: a name and a command line each."""
    timed = {
        EMPTY: [ours, "-c", "pass"],
        "import penstock": [ours, "-c", "import penstock"],
        "penstock --help": [ours, "-c", "from penstock.cli.main import main; main()", "--help"],
    }
    if peer:
        timed["import mlflow"] = [peer, "-c", "import mlflow"]
        timed["mlflow --help"] = [peer, "-m", "mlflow", "--help"]
    return timed


def elapsed_ms(command: list[str]) -> float:
    """The wall time of one run of ``command``, in milliseconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Times every command in interleaved rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer", default=".venvs/mlflow/bin/python", help="an interpreter that has mlflow")
    options = parser.parse_args()
    peer = options.peer if Path(options.peer).exists() else None
    timed = commands(sys.executable, peer)
    for command in timed.values():
        elapsed_ms(command)
    rounds = [{name: elapsed_ms(command) for name, command in timed.items()} for _ in range(options.rounds)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in timed}
    print(f"{'':22}{'median ms':>10}{'over empty':>12}{'vs mlflow':>11}")
    for name, median in medians.items():
        twin = medians.get(name.replace("penstock", "mlflow")) if "penstock" in name else None
        ratio = f"1/{twin / median:.0f}" if twin else ""
        print(f"{name:22}{median:10.0f}{median - medians[EMPTY]:12.0f}{ratio:>11}")


if __name__ == "__main__":
    main()
