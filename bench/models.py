"""Logging a model beside mlflow, and compiled forms beside the originals and the tree compilers, in one run.

    python bench/models.py log [--rounds 5] [--peer .venvs/mlflow/bin/python]
    python bench/models.py compiled [--trees 500] [--works histogram,stages,...] [--compilers PYTHON]

``log``: seconds of ``log_model`` of a classifier of iris with defaults, each side in a process of its own with a fresh
SQLite store, the first call apart from the median of the others. ``compiled``: microseconds of one predict call by
batch size, as the verdict keeps them, one thread each. ``--compilers`` is an interpreter that has treelite, tl2cgen,
scikit-learn, xgboost and lightgbm: ``uv venv trees && uv pip install --python trees/bin/python treelite tl2cgen ...``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LOG = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore")
side, uri, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
if side == "mlflow":
    import mlflow, mlflow.sklearn
else:
    import penstock as mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("log")
model = LogisticRegression(max_iter=300).fit(*load_iris(return_X_y=True, as_frame=True))
taken = []
with mlflow.start_run():
    for place in range(rounds):
        begun = time.perf_counter()
        mlflow.sklearn.log_model(model, name=f"model{place}")
        taken.append(time.perf_counter() - begun)
print(json.dumps(taken))
"""
# Runs here and in the compilers' environment: models by name, and rows to ask about.
MODELS = """
import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
rows, target = make_classification(3000, 20, n_informative=10, random_state=0)
def made(name, trees):
    if name == "xgboost":
        import xgboost
        model = xgboost.XGBClassifier(n_estimators=trees, n_jobs=1)
    elif name == "lightgbm":
        import lightgbm
        model = lightgbm.LGBMClassifier(n_estimators=trees, n_jobs=1, verbose=-1)
    else:
        model = {"stages": GradientBoostingClassifier(n_estimators=trees),
                 "histogram": HistGradientBoostingClassifier(max_iter=trees),
                 "forest": RandomForestClassifier(trees, n_jobs=1)}[name]
    return model.fit(rows[:2000], target[:2000])
"""
COMPILERS = (
    MODELS
    + """
import json, statistics, sys, tempfile, time
import tl2cgen, treelite
name, trees, sizes = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
model = made(name, trees)
if name == "xgboost":
    compiled = treelite.frontend.from_xgboost(model.get_booster())
elif name == "lightgbm":
    compiled = treelite.frontend.from_lightgbm(model.booster_)
else:
    compiled = treelite.sklearn.import_model(model)
kind = np.dtype(compiled.input_type)
forms = {"treelite": lambda batch: treelite.gtil.predict(compiled, batch.astype(kind), nthread=1)}
if name != "forest":  # its C source takes the compiler minutes
    file = tempfile.mkdtemp() + "/model.so"
    tl2cgen.export_lib(compiled, toolchain="gcc", libpath=file, params={"parallel_comp": 8})
    predictor = tl2cgen.Predictor(file, nthread=1)
    matrix = lambda batch: tl2cgen.DMatrix(np.array(batch, kind, order="C"), dtype=compiled.input_type)
    forms["tl2cgen"] = lambda batch: predictor.predict(matrix(batch))
def taken_us(call, batch):
    call(batch)
    times = []
    for _ in range(5):
        calls, begun = 0, time.perf_counter()
        while (taken := time.perf_counter() - begun) < 0.02 or not calls:
            call(batch)
            calls += 1
        times.append(taken / calls * 1e6)
    return statistics.median(times)
found = {form: [taken_us(call, rows[:size].copy()) for size in sizes] for form, call in forms.items()}
print(json.dumps(found))
"""
)
SIZES = (1, 16, 128, 1000)
WORKS = ("stages", "histogram", "forest", "xgboost", "lightgbm", "columns")


def answer_of(python: str | Path, program: str, *arguments: str, directory: str) -> Any:
    """What the program prints last, decoded."""
    environment = {**os.environ, **ONE_THREAD, "PENSTOCK_STATE_DIR": directory}
    done = subprocess.run(
        [str(python), "-c", program, *arguments], capture_output=True, text=True, cwd=directory, env=environment
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def log(options: argparse.Namespace) -> None:
    """Prints the table of ``log_model``."""
    print(f"{'log_model of iris':20}{'first s':>10}{'median s':>10}")
    medians = {}
    for side, python in (("mlflow", Path(options.peer).absolute()), ("penstock", Path(sys.executable))):
        with tempfile.TemporaryDirectory() as directory:
            uri = f"sqlite:///{directory}/tracking.db"
            taken = answer_of(python, LOG, side, uri, str(options.rounds), directory=directory)
        medians[side] = statistics.median(taken[1:])
        print(f"{side:20}{taken[0]:10.3f}{medians[side]:10.3f}")
    print(f"{'ratio of medians':30}{medians['mlflow'] / medians['penstock']:9.0f}x")


def a_model_of_columns() -> tuple[Any, Any]:
    """A pipeline of numbers and text, and its rows."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=2000) for name in "abcdef"})
    frame = frame.assign(**{name: random.choice(["x", "y", "z"], 2000) for name in ("port", "class", "sex")})
    texts = ("texts", OneHotEncoder(handle_unknown="ignore"), ["port", "class", "sex"])
    first = ColumnTransformer([("numbers", StandardScaler(), list("abcdef")), texts])
    return make_pipeline(first, LogisticRegression()).fit(frame, frame["a"] > 0), frame


def compiled(options: argparse.Namespace) -> None:
    """Prints, for each model, what a call takes by batch size and by form."""
    from penstock.api.models import optimize_model, save_model

    scope: dict[str, Any] = {}
    exec(MODELS, scope)
    print(f"{'us a call, rows:':26}" + "".join(f"{size:>9}" for size in SIZES))
    for name in options.works.split(","):
        model, rows = a_model_of_columns() if name == "columns" else (scope["made"](name, options.trees), scope["rows"])
        with tempfile.TemporaryDirectory() as directory:
            folder = save_model(model, f"{directory}/model", input_example=rows[:1000], pip_requirements=[])
            verdict = optimize_model(folder.path)
            if verdict.reason:
                print(f"{name}: {verdict.reason}")
                continue
            speed = {each.rows: each for each in verdict.speed}
            line(name, "original", [speed[size].original_us for size in SIZES])
            line(name, f"ONNX, {verdict.precision}", [speed[size].compiled_us for size in SIZES])
            print(f"{name:12}{'times faster':14}" + "".join(f"{speed[size].ratio:9.1f}" for size in SIZES))
            if options.compilers and name != "columns":
                arguments = (name, str(options.trees), json.dumps(SIZES))
                found = answer_of(options.compilers, COMPILERS, *arguments, directory=directory)
                for form, taken in found.items():
                    line(name, form, taken)


def line(name: str, form: str, taken: list[float]) -> None:
    print(f"{name:12}{form:14}" + "".join(f"{each:9.0f}" for each in taken), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["log", "compiled"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", default=".venvs/mlflow/bin/python", help="an interpreter that has mlflow")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--compilers", help="an interpreter that has treelite and tl2cgen")
    options = parser.parse_args()
    if options.part == "compiled":
        missing = {name: value for name, value in ONE_THREAD.items() if os.environ.get(name) != value}
        if missing:  # the libraries read it when they are imported
            os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **missing})
        compiled(options)
    else:
        log(options)


if __name__ == "__main__":
    main()
