"""TensorFlow's two flavors for real, in an environment of their own: the contract, and folders from and to mlflow."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.full  # TensorFlow is half a gigabyte, and its import alone takes ten seconds
ROOT = Path(__file__).resolve().parents[2]
# Both sides in one process: each writes a folder of each kind, and the other answers with it.
EXCHANGE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import keras, mlflow, numpy as np, tensorflow as tf
import mlflow.keras, mlflow.tensorflow
from penstock.models.flavors.table import flavor_of_folder
from penstock.models.load import load_model
from penstock.models.pack import save_model

rows = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
keras.utils.set_random_seed(0)
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])

class Total(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, rows):
        return tf.reduce_sum(rows, axis=1)

signature = mlflow.models.infer_signature(rows)
options = {"signature": signature, "pip_requirements": ["numpy"]}
expected = {"keras": net(rows).numpy(), "tensorflow": rows.sum(axis=1)}
theirs = {
    "keras": lambda path: mlflow.keras.save_model(net, path, **options),
    "keras under tensorflow": lambda path: mlflow.tensorflow.save_model(net, path, **options),
    "tensorflow": lambda path: mlflow.tensorflow.save_model(Total(), path, **options),
}
ours = {"keras": net, "tensorflow": Total()}
found = {}
for name, write in theirs.items():
    path = f"{sys.argv[1]}/theirs-{name}"
    write(path)
    loaded = load_model(path)
    difference = np.abs(np.asarray(loaded.predict(rows)) - expected[name.partition(" ")[0]]).max()
    found[f"mlflow's {name}"] = [flavor_of_folder(loaded.folder.document), float(difference)]
for name, model in ours.items():
    path = f"{sys.argv[1]}/ours-{name}"
    save_model(model, path, input_example=rows, pip_requirements=["numpy"])
    answer = mlflow.pyfunc.load_model(path).predict(rows)
    found[f"our {name}"] = [name, float(np.abs(np.asarray(answer) - expected[name]).max())]
    found[f"our {name} as its own"] = [name, type(getattr(mlflow, name).load_model(path)).__name__]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def run(peer_python: Callable[[str], Path]) -> Callable[..., str]:
    """Runs TensorFlow's interpreter, which has our sources on its path, and gives what it printed."""
    python = peer_python("tensorflow")

    def running(*arguments: Any) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("PYTEST_XDIST_WORKER", None)
        done = subprocess.run(
            [python, *map(str, arguments)], capture_output=True, text=True, timeout=170, cwd=ROOT, env=environment
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return running


def test_both_flavors_keep_the_contract(run: Callable[..., str]) -> None:
    cases = ["-k", "keras or tensorflow", "tests/contract/test_flavors.py"]
    printed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *cases)
    assert "10 passed" in printed, printed
    assert "skipped" not in printed


def test_folders_go_to_mlflow_and_come_from_it(run: Callable[..., str], tmp_path: Path) -> None:
    found = json.loads(run("-c", EXCHANGE, tmp_path).splitlines()[-1])
    assert found.pop("our keras as its own") == ["keras", "Sequential"]
    assert found.pop("our tensorflow as its own")[0] == "tensorflow"
    assert {name: flavor for name, (flavor, _) in found.items()} == {
        "mlflow's keras": "keras",
        "mlflow's keras under tensorflow": "tensorflow",
        "mlflow's tensorflow": "tensorflow",
        "our keras": "keras",
        "our tensorflow": "tensorflow",
    }
    assert max(difference for _, difference in found.values()) < 1e-5
