"""Every platform's routes on one port."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.ground.errors import InvalidInput
from penstock.serving.options import serve_options
from serving.served import DEADLINE_S, NAMES, ROW, Served

Serve = Callable[..., Served]
ALIVE = ["/", "/livez", "/health/live", "/v2/health/live"]
READY = ["/ping", "/health", "/healthz", "/readyz", "/health/ready", "/v2/health/ready"]
READY_BY_NAME = ["/v1/models/any", "/v2/models/any/ready"]


def tensor(name: str, shape: list[int], data: Any, datatype: str = "FP64") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


COLUMNS = [
    tensor(name, [2, 1], [first, second]) for name, first, second in zip(NAMES, ROW, [5.1, 3.5, 1.4, 0.2], strict=True)
]


@pytest.mark.parametrize("path", [*ALIVE, *READY, *READY_BY_NAME])
def test_health_routes_of_all_platforms(iris: Served, path: str) -> None:
    assert iris.call("GET", path).status == 200


def test_a_loading_model_is_alive_and_not_ready(tmp_path: Path, serve_folder: Serve, tricky_folder: Path) -> None:
    gate = tmp_path / "gate"
    slow = tmp_path / "slow"
    shutil.copytree(tricky_folder, slow)
    source = slow / "tricky_model.py"
    waiting = f"import time\nfrom pathlib import Path\nwhile not Path({str(gate)!r}).exists():\n    time.sleep(0.01)\n"
    source.write_text(waiting + source.read_text())
    served = serve_folder(slow)
    while True:
        try:
            alive = served.call("GET", "/livez")
        except ConnectionError:
            assert served.process.poll() is None
            continue
        break
    assert alive.status == 200
    refused = served.call("GET", "/ping")
    assert refused.status == 503
    assert served.invoke({"inputs": [[1, 2]]}).status == 503
    gate.touch()
    assert served.wait_ready().invoke({"inputs": [[1, 2]]}).json == {"predictions": [3]}


def test_kserve_v1(iris: Served) -> None:
    answer = iris.call("POST", "/v1/models/iris:predict", '{"instances": [[6, 3, 5, 2]]}')
    assert answer.json == {"predictions": [2]}
    assert iris.call("GET", "/v1/models").json == {"models": ["model"]}
    assert iris.call("GET", "/v1/models/iris").json == {"name": "iris", "ready": True}


def test_vertex_instances_and_parameters(tricky_folder: Path, serve_folder: Serve) -> None:
    routes = {"AIP_HEALTH_ROUTE": "/vertex/health", "AIP_PREDICT_ROUTE": "/vertex/predict"}
    served = serve_folder(tricky_folder, environment=routes).wait_ready()
    assert served.call("GET", "/vertex/health").status == 200
    body = '{"instances": [[1, 2]], "parameters": {"scale": 2.0}}'
    assert served.call("POST", "/vertex/predict", body).json == {"predictions": [6]}


@pytest.mark.parametrize("data", [{"columns": NAMES, "index": [0], "data": [ROW]}, [ROW]])
def test_azure_ml_input_data(iris: Served, data: Any) -> None:
    assert iris.call("POST", "/score", json.dumps({"input_data": data})).json == [2]


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor("x", [2, 4], [*ROW, 5.1, 3.5, 1.4, 0.2])],
        [tensor("x", [2, 4], [ROW, [5.1, 3.5, 1.4, 0.2]], "FP32")],
        COLUMNS,
        COLUMNS[::-1],
    ],
    ids=["table", "nested", "columns", "columns in another order"],
)
@pytest.mark.parametrize("path", ["/v2/models/iris/infer", "/v2/models/iris/versions/1/infer"])
def test_kserve_v2_infer(iris: Served, path: str, inputs: Any) -> None:
    answer = iris.call("POST", path, json.dumps({"id": "7", "inputs": inputs}))
    assert answer.json == {
        "model_name": "iris",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "output-0", "shape": [2], "datatype": "INT64", "data": [2, 0]}],
    }


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": [tensor("x", [3, 4], ROW)]}, "4 values"),
        ({"inputs": [tensor("x", [-1, -4], ROW)]}, "shape"),
        ({"inputs": [tensor("x", [1, 4], ROW, "FP128")]}, "FP128"),
        ({"inputs": [tensor("x", [1, 4], ["a", "b", "c", "d"])]}, "FP64"),
        ({"inputs": [{"name": "x"}]}, "shape"),
        ({"inputs": [tensor(NAMES[0], [1], [1.0])]}, "lacks"),
        ({"inputs": [tensor(NAMES[0], [1], [1.0]), tensor(NAMES[1], [2], [1.0, 2.0])]}, "different lengths"),
    ],
)
def test_a_bad_infer_request_is_400(iris: Served, body: Any, word: str) -> None:
    answer = iris.call("POST", "/v2/models/iris/infer", json.dumps(body))
    assert answer.status == 400, answer
    assert word in answer.json["message"]


def test_kserve_v2_metadata(iris: Served) -> None:
    assert iris.call("GET", "/v2").json["name"] == "penstock"
    described = iris.call("GET", "/v2/models/iris").json
    assert described["inputs"][0] == {"name": NAMES[0], "datatype": "FP64", "shape": [-1]}
    assert described["outputs"] == [{"name": "input-0", "datatype": "INT64", "shape": [-1]}]


def test_a_chosen_name_is_the_only_one(tricky_folder: Path, serve_folder: Serve) -> None:
    served = serve_folder(tricky_folder, "--model-name", "flowers").wait_ready()
    assert served.call("GET", "/v1/models/flowers").status == 200
    refused = served.call("GET", "/v1/models/flower")
    assert refused.status == 404
    assert "flowers" in refused.json["message"]
    assert served.invoke({"inputs": [[1, 2]]}).status == 200


def test_execution_parameters(iris: Served) -> None:
    found = iris.call("GET", "/execution-parameters").json
    assert found == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 25}


def test_metrics_in_prometheus_text(iris: Served) -> None:
    iris.invoke({"inputs": [ROW]})
    answer = iris.call("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    assert values['penstock_requests_total{route="predict",code="200"}'] >= 1
    count = values["penstock_request_duration_seconds_count"]
    assert values['penstock_request_duration_seconds_bucket{le="+Inf"}'] == count
    assert values["process_resident_memory_bytes"] > 1e7


def test_the_models_routes_exist_only_on_multi_model_endpoints(iris: Served) -> None:
    assert iris.call("GET", "/models").status == 404


def test_a_multi_model_endpoint(tricky_folder: Path, iris_folder: Path, serve_folder: Serve) -> None:
    served = serve_folder(None, environment={"SAGEMAKER_MULTI_MODEL": "true"}).wait_ready()
    load = '{"model_name": "NAME", "url": "FOLDER"}'
    tricky = load.replace("NAME", "a1").replace("FOLDER", str(tricky_folder))
    assert served.call("GET", "/models").json == {"models": []}
    assert served.call("POST", "/models", tricky).status == 200
    assert served.call("POST", "/models", tricky).status == 409
    assert served.call("POST", "/models", tricky.replace("a1", "b2").replace("tricky", "none")).status == 400
    assert served.call("POST", "/models/a1/invoke", '{"inputs": [[1, 2]]}').json == {"predictions": [3]}
    assert served.call("POST", "/models/zz/invoke", '{"inputs": [[1, 2]]}').status == 404
    assert served.call("GET", "/models/a1").json == {"modelName": "a1", "modelUrl": str(tricky_folder)}
    assert [each["modelName"] for each in served.call("GET", "/models").json["models"]] == ["a1"]
    assert served.call("DELETE", "/models/a1").status == 200
    assert served.call("DELETE", "/models/a1").status == 404
    assert served.call("GET", "/ping").status == 200
    assert served.call("POST", "/models", "{").status == 400


@pytest.mark.parametrize("variable", ["PENSTOCK_WORKERS", "SAGEMAKER_MODEL_SERVER_WORKERS"])
def test_a_multi_model_endpoint_has_one_worker(variable: str) -> None:
    environment = {"SAGEMAKER_MULTI_MODEL": "true", variable: "2"}
    with pytest.raises(InvalidInput, match=rf"{variable} is '2' .*SAGEMAKER_MULTI_MODEL.* unknown to the others"):
        serve_options(environment=environment)
    with pytest.raises(InvalidInput, match="--workers is '3'"):
        serve_options({"workers": "3"}, environment=environment)
    assert serve_options({"workers": "1"}, environment=environment).workers == 1


def test_a_multi_model_endpoint_with_two_workers_does_not_start(serve_folder: Serve) -> None:
    served = serve_folder(None, "--workers", "2", environment={"SAGEMAKER_MULTI_MODEL": "true"})
    assert served.process.wait(DEADLINE_S) == 1
    assert "--workers is '2' on a multi-model endpoint" in served.log.read_text()


def test_knative_gives_the_port(tricky_folder: Path, tmp_path: Path) -> None:
    environment = {"PORT": "9000", "PENSTOCK_MODEL_PATH": str(tricky_folder)}
    assert serve_options({}, environment=environment).port == 9000
    assert serve_options({}, environment={**environment, "AIP_HTTP_PORT": "9001"}).port == 9001
    assert serve_options({"port": "9002"}, environment=environment).port == 9002
