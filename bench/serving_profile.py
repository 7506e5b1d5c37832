"""Where a request's time goes: the server under load, sampled by py-spy, as a plot and as numbers.

    python bench/serving.py prepare                    the models, once
    python bench/serving_profile.py docs/serving-profile.svg

Each sample counts for the stage that its innermost frame of ours belongs to; what that frame calls in C (the parser,
msgspec, numpy, onnxruntime, the kernel) is its own.
"""

from __future__ import annotations

import argparse
import collections
import subprocess
import tempfile
import threading
from html import escape
from pathlib import Path

from serving_peers.measure import measure, started
from serving_peers.servers import OPTIMIZED, PENSTOCK, ROOT, Server, environment
from serving_peers.works import Work, body_of, path_of

MODELS = ROOT / ".cache" / "bench-serving"
ONE_ROW = Work("1 row", 1, 64)
SECONDS = 6
CONNECTIONS = 64  # enough that the server never waits
STAGES = (
    ("the model", ("models/flavors/", "models/optimize/predictor")),
    ("checks of the input", ("models/",)),
    ("JSON in", ("serving/codecs/json_forms",)),
    ("JSON out", ("serving/codecs/answers",)),
    ("batching", ("serving/engine", "serving/rows", "serving/predictor")),
    ("routes and counters", ("serving/app", "serving/contracts", "serving/metrics", "serving/served_model", "codecs/")),
    ("sending (kernel)", ("Answers._answer",)),
    ("the answer's head", ("serving/http/answers", "serving/http/wire")),
    ("reading HTTP", ("serving/http/",)),
    ("event loop, receiving (kernel)", ("asyncio/", "uvloop")),
)
BAR, LEFT, WIDTH = 15, 230, 420


def profile(server: Server, folder: Path, place: Path) -> dict[str, float]:
    """The share of each stage while 64 connections ask for one row at a time."""
    body, path = body_of(folder, ONE_ROW, server), path_of(ONE_ROW, server)
    py_spy = environment("profile", "py-spy", libraries=()).with_name("py-spy")
    raw = place / "raw"
    with started(server, folder, place) as running:
        measure(running, body, path, CONNECTIONS, 2, place)  # warm
        load = threading.Thread(target=measure, args=(running, body, path, CONNECTIONS, SECONDS + 2, place))
        load.start()
        record = [str(py_spy), "record", "-r", "400", "-d", str(SECONDS), "-f", "raw", "-o", str(raw)]
        subprocess.run([*record, "-p", str(running.process.pid)], check=True, capture_output=True)
        load.join()
    return shares(raw.read_text())


def shares(raw: str) -> dict[str, float]:
    """By stage, from py-spy's lines ``frame;frame;... count``."""
    counts: collections.Counter[str] = collections.Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        stage = stage_of(stack.split(";"))
        if stage is not None:
            counts[stage] += int(count)
    total = sum(counts.values())
    return {name: counts[name] / total for name, _ in STAGES}


def stage_of(frames: list[str]) -> str | None:
    """The stage of the innermost frame that has one; None for a thread that waits for work."""
    if "_worker (" in frames[-1]:
        return None
    for frame in reversed(frames):
        for name, marks in STAGES:
            if any(mark in frame for mark in marks):
                return name
    return None


def plot(profiles: dict[str, dict[str, float]]) -> str:
    """The shares as horizontal bars, one group a profile."""
    lines, y = [], 24
    for title, found in profiles.items():
        lines.append(f'<text x="0" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += 10
        for name, share in found.items():
            lines.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
            lines.append(f'<rect x="{LEFT}" y="{y + 1}" width="{share * WIDTH * 2:.1f}" height="{BAR - 3}"/>')
            lines.append(f'<text x="{LEFT + share * WIDTH * 2 + 6:.1f}" y="{y + 12}">{share:.0%}</text>')
            y += BAR
        y += 28
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH}" height="{y}" font-family="sans-serif"'
    style = "<style>text{fill:#555}rect{fill:#2a78b8}</style>"
    return "\n".join([f'{head} font-size="12">', style, *lines, "</svg>"]) + "\n"


def main() -> None:
    """Profiles both forms of the iris model and writes the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plot", type=Path)
    parser.add_argument("--models", type=Path, default=MODELS)
    options = parser.parse_args()
    titles = {"iris, compiled, 64 connections": OPTIMIZED, "iris, not compiled, 64 connections": PENSTOCK}
    with tempfile.TemporaryDirectory() as place:
        found = {title: profile(server, options.models / "iris", Path(place)) for title, server in titles.items()}
    for title, by_stage in found.items():
        print(title)
        for name, share in by_stage.items():
            print(f"  {share:5.1%}  {name}")
    options.plot.write_text(plot(found))


if __name__ == "__main__":
    main()
