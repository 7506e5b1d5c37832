"""The classic routes as MLflow's clients see them: fields, defaults, limits, error codes and messages."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from server.running import Client


def name() -> str:
    return f"n-{secrets.token_hex(6)}"


def make_model(client: Client, *, versions: int = 1) -> str:
    model = name()
    assert client.post("registered-models/create", name=model).status == 200
    for _ in range(versions):
        assert client.post("model-versions/create", name=model, source="s3://bucket/model").status == 200
    return model


def test_health_and_version_are_plain_text(client: Client) -> None:
    assert client.get("/health").body == b"OK"
    for _ in range(2):  # what one answer carries does not pile up in the next
        answer = client.get("/version")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert len(answer.headers) == 5


@pytest.mark.parametrize(
    "path", ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/2.0/preview/mlflow/", "/ajax-api/2.0/preview/mlflow/"]
)
def test_every_route_is_there_under_every_prefix(client: Client, path: str) -> None:
    client.prefix = path
    assert client.get("experiments/get", experiment_id="0").json["experiment"]["name"] == "Default"


def test_what_mlflow_1_lists_is_listed(client: Client) -> None:
    title = name()
    number = client.post("experiments/create", name=title).json["experiment_id"]
    assert number in [each["experiment_id"] for each in client.get("experiments/list").json["experiments"]]
    deleted = client.get("experiments/list", view_type="DELETED_ONLY", max_results=5).json
    assert number not in [each["experiment_id"] for each in deleted.get("experiments", [])]
    model = make_model(client)
    assert model in [each["name"] for each in client.get("registered-models/list").json["registered_models"]]


def test_an_experiment_is_made_found_and_listed(client: Client) -> None:
    title = name()
    number = client.post("experiments/create", name=title, tags=[{"key": "a", "value": "1"}]).json["experiment_id"]
    found = client.get("experiments/get-by-name", experiment_name=title).json["experiment"]
    assert found["experiment_id"] == number
    assert found["artifact_location"] == f"mlflow-artifacts:/{number}"
    assert found["tags"] == [{"key": "a", "value": "1"}]
    for answer in (
        client.get("experiments/search", max_results=5, filter=f"name = '{title}'"),
        client.post("experiments/search", max_results=5, filter=f"name = '{title}'"),
    ):
        assert [experiment["name"] for experiment in answer.json["experiments"]] == [title]
    assert client.post("experiments/create", name=title).code == "RESOURCE_ALREADY_EXISTS"
    assert client.post("experiments/update", experiment_id=number, new_name=f"{title}2").body == b"{}"
    assert client.post("experiments/delete", experiment_id=number).status == 200
    assert client.post("experiments/delete", experiment_id=number).code == "RESOURCE_DOES_NOT_EXIST"
    assert client.post("experiments/restore", experiment_id=number).status == 200


def test_a_missing_experiment_is_404(client: Client) -> None:
    answer = client.get("experiments/get-by-name", experiment_name="nobody")
    assert (answer.status, answer.code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_search_without_its_limit_is_refused(client: Client) -> None:
    answer = client.post("experiments/search")
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    assert "Missing value for required parameter 'max_results'" in answer.json["message"]


@pytest.mark.parametrize("spelling", ["run_id", "run_uuid", "runId"])
def test_a_run_is_named_in_every_spelling_and_by_both_names_in_answers(client: Client, spelling: str) -> None:
    run_id = client.make_run(run_name="first")
    info = client.get("runs/get", **{spelling: run_id}).json["run"]["info"]
    assert info["run_id"] == info["run_uuid"] == run_id
    assert (info["run_name"], info["status"], info["lifecycle_stage"]) == ("first", "RUNNING", "active")


def test_one_field_in_two_spellings_is_refused(client: Client) -> None:
    answer = client.post("runs/create", experiment_id="0", experimentId="0")
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def test_what_is_logged_comes_back(client: Client) -> None:
    run_id = client.make_run()
    assert client.post("runs/log-metric", run_id=run_id, key="m", value=1.5, timestamp=7, step=2).body == b"{}"
    assert client.post("runs/log-metric", run_id=run_id, key="inf", value="-Infinity", timestamp=0).status == 200
    assert client.post("runs/log-parameter", run_id=run_id, key="p", value="").status == 200
    assert client.post("runs/set-tag", run_id=run_id, key="mlflow.runName", value="new").status == 200
    batch = {"metrics": [{"key": "n", "value": "NaN", "timestamp": "3"}], "params": [{"key": "q", "value": 5}]}
    assert client.post("runs/log-batch", run_id=run_id, **batch).status == 200
    run = client.get("runs/get", run_id=run_id).json["run"]
    values = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert values == {"m": 1.5, "inf": "-Infinity", "n": "NaN"}
    assert run["data"]["params"] == [{"key": "p", "value": ""}, {"key": "q", "value": "5"}]
    assert run["info"]["run_name"] == "new"
    history = client.get("metrics/get-history", run_id=run_id, metric_key="m", max_results=5).json["metrics"]
    assert history == [{"key": "m", "value": 1.5, "timestamp": 7, "step": 2}]
    ended = client.post("runs/update", run_id=run_id, status="FINISHED", end_time=9).json["run_info"]
    assert (ended["status"], ended["end_time"]) == ("FINISHED", 9)


@pytest.mark.parametrize(
    ("path", "fields", "stem"),
    [
        ("runs/log-metric", {"key": "m", "timestamp": 1}, "Missing value for required parameter 'value'"),
        ("runs/log-metric", {"key": "m", "value": True, "timestamp": 1}, "Invalid value true for parameter 'value'"),
        ("runs/log-metric", {"key": "m", "value": "x", "timestamp": 1}, "Invalid value \"x\" for parameter 'value'"),
        ("runs/log-metric", {"key": "", "value": 1, "timestamp": 1}, "Missing value for required parameter 'key'"),
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": -1}, "metric 'm'. Timestamp must be a nonnegative"),
        ("runs/log-metric", {"key": "../m", "value": 1, "timestamp": 1}, "would resolve to '../m'"),
        ("runs/log-metric", {"key": "m\n", "value": 1, "timestamp": 1}, "Names may only contain alphanumerics"),
        ("runs/log-parameter", {"key": "a" * 251, "value": "1"}, "exceeds the maximum length of 250 characters"),
        ("runs/log-parameter", {"key": "a", "value": "x" * 65_537}, "exceeds the maximum length of 65536 characters"),
        ("runs/set-tag", {"key": "a\x00", "value": "1"}, "zero byte"),
        ("runs/log-batch", {"metrics": [{"key": "a"}]}, "Missing value for required parameter 'metrics[0].value'"),
        ("runs/log-batch", {"params": [{"key": "a"}, {"key": "/"}]}, "parameter 'params[1].key'"),
        ("runs/log-batch", {"tags": "x"}, "Invalid value \"x\" for parameter 'tags' supplied"),
        ("runs/log-batch", {"params": [{"key": "a", "value": "1"}] * 2}, "Duplicate parameter keys"),
        ("runs/log-batch", {"params": [{"key": str(n), "value": ""} for n in range(101)]}, "at most 100 params"),
        ("runs/update", {"status": "DREAMING"}, "Invalid value \"DREAMING\" for parameter 'status'"),
        ("runs/log-model", {"model_json": "{}"}, "missing mandatory fields"),
        ("runs/outputs", {"models": []}, "Missing value for required parameter 'models'"),
        ("runs/log-inputs", {"datasets": [{"dataset": {"name": "d"}}]}, "lacks digest, source"),
    ],
)
def test_what_is_malformed_is_named(client: Client, path: str, fields: dict[str, Any], stem: str) -> None:
    answer = client.post(path, run_id=client.make_run(), **fields)
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    assert stem in answer.json["message"]


def test_a_batch_over_a_megabyte_is_refused(client: Client) -> None:
    answer = client.post("runs/log-batch", run_id=client.make_run(), tags=[{"key": "a", "value": "x" * 1_000_001}])
    assert answer.status == 413


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'"{\\"name\\":"', "application/json"),
        (b"name=x", "application/x-www-form-urlencoded"),
        (b"", "application/json"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(client: Client, body: bytes, content_type: str) -> None:
    answer = client.send("POST", "experiments/create", body, {"Content-Type": content_type})
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_body_encoded_twice_is_read(client: Client) -> None:
    title = name()
    body = json.dumps(json.dumps({"name": title}))
    assert client.send("POST", "experiments/create", body, {"Content-Type": "application/json"}).status == 200


def test_a_param_cannot_change(client: Client) -> None:
    run_id = client.make_run()
    for _ in range(2):
        assert client.post("runs/log-parameter", run_id=run_id, key="a", value="1").status == 200
    answer = client.post("runs/log-parameter", run_id=run_id, key="a", value="2")
    assert answer.status == 400
    assert "Changing param values is not allowed" in answer.json["message"]


def test_runs_are_searched_and_paged(client: Client) -> None:
    number = client.post("experiments/create", name=name()).json["experiment_id"]
    ids = [client.make_run(experiment_id=number, start_time=index) for index in range(5)]
    page = client.post("runs/search", experiment_ids=[number], max_results=3).json
    assert [run["info"]["run_id"] for run in page["runs"]] == ids[:1:-1]
    rest = client.post("runs/search", experiment_ids=[number], max_results=3, page_token=page["next_page_token"]).json
    assert [run["info"]["run_id"] for run in rest["runs"]] == [ids[1], ids[0]]
    assert "next_page_token" not in rest
    assert client.post("runs/search", experiment_ids=[number], filter="metrics.a > 1").json == {}
    answer = client.post("runs/search", experiment_ids=[number], filter="metrics.a > 1 OR metrics.b > 1")
    assert answer.status == 400
    assert "Invalid clause(s) in filter string" in answer.json["message"]
    for limit in (0, 50_001, -1):
        assert client.post("runs/search", experiment_ids=[number], max_results=limit).status == 400


def test_histories_are_sampled_for_charts(client: Client) -> None:
    run_id = client.make_run()
    points = [{"key": "a", "value": index, "timestamp": index, "step": index} for index in range(100)]
    assert client.post("runs/log-batch", run_id=run_id, metrics=points).status == 200
    sampled = client.get("metrics/get-history-bulk-interval", run_ids=[run_id], metric_key="a", max_results=10)
    assert len(sampled.json["metrics"]) == 10
    bulk = client.get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", run_id=[run_id], metric_key="a", max_results=7)
    assert [metric["run_id"] for metric in bulk.json["metrics"]] == [run_id] * 7
    answer = client.get("metrics/get-history-bulk-interval", run_ids=run_id, metric_key="a", start_step=3)
    assert "both must be specified" in answer.json["message"]


def test_datasets_and_models_are_linked(client: Client) -> None:
    number = client.post("experiments/create", name=name()).json["experiment_id"]
    run_id = client.make_run(experiment_id=number)
    dataset = {"name": "d", "digest": "x", "source_type": "local", "source": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "train"}]
    assert client.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}]).status == 200
    model = client.post("logged-models", experiment_id=number, name="m", source_run_id=run_id).json["model"]["info"]
    assert client.post("runs/outputs", run_id=run_id, models=[{"model_id": model["model_id"], "step": 2}]).status == 200
    run = client.get("runs/get", run_id=run_id).json["run"]
    assert run["inputs"]["dataset_inputs"] == [{"tags": tags, "dataset": dataset}]
    assert run["outputs"]["model_outputs"] == [{"model_id": model["model_id"], "step": 2}]
    summaries = client.post("/ajax-api/2.0/mlflow/experiments/search-datasets", experiment_ids=[number]).json
    assert summaries["dataset_summaries"] == [{"experiment_id": number, "name": "d", "digest": "x", "context": "train"}]


def test_a_logged_model_lives_from_pending_to_deleted(client: Client) -> None:
    made = client.post("logged-models", experiment_id="0", name="m", params=[{"key": "a", "value": "1"}]).json["model"]
    path = f"logged-models/{made['info']['model_id']}"
    assert made["info"]["status"] == "LOGGED_MODEL_PENDING"
    ready = client.post(path, method="PATCH", model_id=made["info"]["model_id"], status="LOGGED_MODEL_READY").json
    assert ready["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    tagged = client.post(f"{path}/tags", method="PATCH", tags=[{"key": "t", "value": "1"}]).json["model"]
    assert tagged["info"]["tags"] == [{"key": "t", "value": "1"}]
    assert client.send("DELETE", f"{path}/tags/t").status == 200
    assert client.send("DELETE", f"{path}/tags/t").code == "RESOURCE_DOES_NOT_EXIST"
    found = client.post("logged-models/search", experiment_ids=["0"], filter="name = 'm'", max_results=50).json
    assert made["info"]["model_id"] in [model["info"]["model_id"] for model in found["models"]]
    order = [{"field_name": "metrics.acc", "ascending": False, "dataset_name": "d"}]
    assert client.post("logged-models/search", experiment_ids=["0"], order_by=order).status == 200
    assert client.send("DELETE", path).status == 200
    assert client.get(path).code == "RESOURCE_DOES_NOT_EXIST"
    assert client.post("logged-models", experiment_id="0", name="a/b").status == 400


def test_versions_are_counted_staged_and_deleted(client: Client) -> None:
    model = make_model(client, versions=2)
    fields = {"name": model, "version": "1"}
    moved = client.post("model-versions/transition-stage", **fields, stage="staging").json["model_version"]
    assert (moved["version"], moved["current_stage"]) == ("1", "Staging")
    latest = client.post("registered-models/get-latest-versions", name=model).json["model_versions"]
    assert [(version["version"], version["current_stage"]) for version in latest] == [("1", "Staging"), ("2", "None")]
    assert client.post("model-versions/delete", method="DELETE", **fields).status == 200
    assert client.get("model-versions/get", **fields).status == 404
    uri = client.get("model-versions/get-download-uri", name=model, version=2).json["artifact_uri"]
    assert uri == "s3://bucket/model"
    found = client.get("model-versions/search", filter=f"name = '{model}'").json["model_versions"]
    assert [version["version"] for version in found] == ["2"]


def test_aliases_are_set_followed_and_their_history_is_readable(client: Client) -> None:
    model = make_model(client, versions=2)
    for version in ("1", "2"):
        assert client.post("registered-models/alias", name=model, alias="best", version=version).status == 200
    found = client.get("registered-models/alias", name=model, alias="best").json["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["best"])
    registered = client.get("registered-models/get", name=model).json["registered_model"]
    assert registered["aliases"] == [{"alias": "best", "version": "2"}]
    headers = {"Content-Type": "application/json", "Authorization": "Basic YW5uOnNlY3JldA=="}
    body = json.dumps({"name": model, "alias": "best"})
    assert client.send("DELETE", "registered-models/alias", body, headers).status == 200
    answer = client.get("registered-models/alias", name=model, alias="best")
    assert (answer.status, "alias best not found" in answer.json["message"]) == (400, True)
    changes = client.get("/api/2.0/penstock/registered-models/history", name=model).json["changes"]
    assert [(change.get("before"), change.get("after")) for change in changes] == [
        (None, "1"),
        ("1", "2"),
        ("2", None),
    ]
    assert changes[-1]["user_id"] == "ann"
    for alias in ("latest", "v3", "a b", ""):
        assert client.post("registered-models/alias", name=model, alias=alias, version="1").status == 400


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "mlflow-artifacts:/0/other/artifacts/model",
        "mlflow-artifacts://elsewhere/0/x",
        "runs:/0123/model",
        "models:/m-0123",
        "s3://bucket/../other",
        "s3://bucket/%252e%252e/other",
        "s3://bucket/model#../..",
        "http://[::1/x",
    ],
)
def test_a_version_cannot_come_from_a_place_the_asker_could_not_read(client: Client, source: str) -> None:
    model = make_model(client, versions=0)
    answer = client.post("model-versions/create", name=model, source=source, run_id=client.make_run())
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_version_comes_from_its_run_its_logged_model_or_another_version(client: Client) -> None:
    model = make_model(client, versions=0)
    run_id = client.make_run()
    root = client.get("runs/get", run_id=run_id).json["run"]["info"]["artifact_uri"]
    assert client.post("model-versions/create", name=model, source=f"{root}/m", run_id=run_id).status == 200
    assert client.post("model-versions/create", name=model, source=f"runs:/{run_id}/m", run_id=run_id).status == 200
    logged = client.post("logged-models", experiment_id="0", name="m").json["model"]["info"]
    source = f"models:/{logged['model_id']}"
    made = client.post("model-versions/create", name=model, source=source, model_id=logged["model_id"])
    assert made.json["model_version"]["version"] == "3"
    uri = client.get("model-versions/get-download-uri", name=model, version="3").json["artifact_uri"]
    assert uri == logged["artifact_uri"]
    copied = client.post("model-versions/create", name=model, source=f"models:/{model}/3").json["model_version"]
    assert copied["model_id"] == logged["model_id"]
    uri = client.get("model-versions/get-download-uri", name=model, version="4").json["artifact_uri"]
    assert uri == logged["artifact_uri"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/3.0/mlflow/traces", 501),
        ("GET", "/api/3.0/mlflow/traces/tr-1", 501),
        ("POST", "/api/2.0/mlflow/webhooks", 501),
        ("GET", "/ajax-api/3.0/mlflow/scorers/list", 501),
        ("POST", "/v1/traces", 501),
        ("GET", "/api/2.0/mlflow/nothing", 404),
        ("PUT", "/api/2.0/mlflow/runs/create", 405),
        ("GET", "/favicon.ico", 404),
    ],
)
def test_what_is_not_offered_says_so_in_json(client: Client, method: str, path: str, status: int) -> None:
    answer = client.send(method, path, "{}" if method != "GET" else None, {"Content-Type": "application/json"})
    assert answer.status == status
    assert set(answer.json) == {"error_code", "message"}


def test_server_info_says_what_clients_ask(client: Client) -> None:
    info = client.get("/api/3.0/mlflow/server-info").json
    assert (info["store_type"], info["workspaces_enabled"]) == ("SqlStore", False)
