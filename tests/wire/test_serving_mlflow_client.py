"""MLflow's own scoring client, and curl, against our model server; MLflow's own prediction is the reference."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from penstock.models.pack import save_model
from penstock.models.signature import infer_signature
from serving.served import Served

ASK = """
import json, sys
import mlflow, pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
folder, port = sys.argv[1:]
client = ScoringServerClient("127.0.0.1", int(port))
client.wait_server_ready()
frame = pd.DataFrame({"a": [1.0, 2.5, -3.0], "b": [0.5, 1e6, 2.0]})
forms = {"frame": frame, "array": frame.to_numpy(), "lists": frame.to_numpy().tolist()}
found = {name: client.invoke(data).get_predictions().iloc[:, 0].tolist() for name, data in forms.items()}
found["mlflow itself"] = list(mlflow.pyfunc.load_model(folder).predict(frame))
print(json.dumps({"version": client.get_version(), "answers": found}))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    """A regression of two named columns, whose answers are awkward doubles."""
    folder = tmp_path_factory.mktemp("models") / "line"
    data = pd.DataFrame({"a": [0.1, 0.7, 1.3, 9.1], "b": [3.0, 2.0, 0.3, 0.1]})
    model = LinearRegression().fit(data, np.array([0.3, 0.1, 0.7, 2.9]))
    save_model(model, folder, signature=infer_signature(data, model.predict(data)), input_example=data)
    with Served(folder, tmp_path_factory.mktemp("log") / "served.log") as running:
        yield folder, running.wait_ready()


def test_mlflows_client_gets_what_mlflow_predicts(
    served: tuple[Path, Served], peer_python: Callable[[str], Path]
) -> None:
    folder, running = served
    command = [str(peer_python("mlflow")), "-c", ASK, str(folder), str(running.port)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answers = json.loads(ended.stdout.splitlines()[-1])["answers"]
    expected = answers.pop("mlflow itself")
    assert len(expected) == 3
    assert answers == dict.fromkeys(answers, expected)


def test_curl_with_a_large_body_waits_for_continue(
    served: tuple[Path, Served], tool: Callable[[str], Path], tmp_path: Path
) -> None:
    body = tmp_path / "body.csv"
    body.write_text("a,b\n" + "1.0,0.5\n" * 200_000)
    url = f"http://127.0.0.1:{served[1].port}/invocations"
    fields = ["-H", "Content-Type: text/csv", "-H", "Accept: text/csv", "-H", "Expect: 100-continue"]
    command = [str(tool("curl")), "-sv", "--max-time", "60", *fields, "--data-binary", f"@{body}", url]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "HTTP/1.1 100 Continue" in ended.stderr
    answers = ended.stdout.split()
    assert len(answers) == 200_000
    assert len(set(answers)) == 1
