"""What no server can pass without batching: the model called in process, and its library's import."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from serving_peers.measure import SERVER_CORE
from serving_peers.servers import PENSTOCK
from serving_peers.works import Work, body_of

IN_PROCESS = """
import json, sys, time
import numpy as np
from pathlib import Path
from penstock.models.load import load_model
model = load_model(Path(sys.argv[1]))
array = np.asarray(json.load(sys.stdin)["inputs"], dtype=np.float64)
if sys.argv[2] == "session":
    predictor = model.predictor.compiled.predictor
    name, dtype = predictor.inputs[0]
    feed = {name: array.astype(dtype)}
    call = lambda: predictor.native.run(None, feed)
else:
    call = (lambda: model.predict_array(array)) if model.array_dtype is not None else (lambda: model.predict(array))
call()
best = 0.0
for _ in range(3):
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < 0.5:
        call(); calls += 1
    best = max(best, calls / (time.perf_counter() - begin))
print(best)
"""


def of_rows(folder: Path, rows: int) -> dict[str, float]:
    """Calls a second in process: the original, the compiled form as it is loaded, and the bare session of it."""
    body = body_of(folder, Work("", rows, 1), PENSTOCK).data
    found = {"original": _rps(folder, "model", body)}
    compiled = folder.with_name(f"{folder.name}-optimized")
    if compiled.exists():
        found |= {"compiled": _rps(compiled, "model", body), "onnxruntime": _rps(compiled, "session", body)}
    return found


def _rps(folder: Path, form: str, body: bytes) -> float:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-c", IN_PROCESS, str(folder), form]
    return float(subprocess.run(command, check=True, capture_output=True, input=body).stdout)


def library_s(folder: Path) -> float:
    """Seconds that Python needs to unpickle the model, which imports the library it is made of."""
    return _seconds("import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))", str(folder / "model.pkl"))


def import_s(module: str) -> float:
    """Seconds that Python needs to import ``module``."""
    return _seconds(f"import {module}")


def _seconds(code: str, *arguments: str) -> float:
    begin = time.perf_counter()
    subprocess.run(["taskset", "-c", SERVER_CORE, sys.executable, "-c", code, *arguments], check=True)
    return time.perf_counter() - begin
