"""scikit-learn's autologging beside the real mlflow's: the same training, the same params, metrics, tags and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.full  # half a minute of mlflow's own work

# Run by both sides, each in its own process, for autologging changes classes. Logging the model is left out here: it
# takes mlflow seconds each time, and what it logs is compared in test_models_with_mlflow.
PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
if sys.argv[1] == "mlflow":
    import mlflow
else:
    import penstock as mlflow
mlflow.set_tracking_uri(sys.argv[2])
experiment = mlflow.set_experiment("autolog").experiment_id
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.sklearn.autolog(log_models=False, max_tuning_runs=2)
X, y = load_iris(return_X_y=True, as_frame=True)
LogisticRegression(max_iter=300).fit(X, y)
LogisticRegression(max_iter=300).fit(X.values, (y == 1).values, sample_weight=(1 + y).values)
LinearRegression().fit(X, y)
make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X, y)
KMeans(3, n_init=1, random_state=0).fit(X)
GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.01, 1, 10]}, cv=3).fit(X, y)
client = mlflow.MlflowClient(sys.argv[2])
found = []
for run in client.search_runs([experiment]):
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.") or "autolog" in key}
    metrics = {key: value for key, value in run.data.metrics.items() if "_time" not in key}
    files = sorted(each.path for each in client.list_artifacts(run.info.run_id))
    inputs = [each.tags[0].value for each in run.inputs.dataset_inputs]
    child = "mlflow.parentRunId" in run.data.tags
    found.append([run.info.status, dict(run.data.params), metrics, tags, files, inputs, child])
print(json.dumps(found, sort_keys=True))
"""


def trained(python: str | Path, side: str, directory: Path) -> list[Any]:
    """What ``side`` recorded of the trainings: one list a run, in an order that does not depend on time."""
    uri = f"sqlite:///{directory / side}.db"
    environment = {**os.environ, "PENSTOCK_STATE_DIR": str(directory / "state"), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [python, "-c", PROGRAM, side, uri], capture_output=True, text=True, timeout=170, cwd=directory, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return sorted(json.loads(done.stdout.splitlines()[-1]), key=lambda run: json.dumps([run[3], run[1], run[6]]))


def test_what_training_records_is_what_mlflows_records(peer_python: Callable[[str], Path], tmp_path: Path) -> None:
    theirs = trained(peer_python("mlflow"), "mlflow", tmp_path)
    ours = trained(sys.executable, "penstock", tmp_path)
    assert len(ours) == len(theirs) == 8
    for mine, other in zip(ours, theirs, strict=True):
        assert mine[2] == pytest.approx(other[2], rel=1e-6)
        assert [mine[0], mine[1], *mine[3:]] == [other[0], other[1], *other[3:]]
