"""One conversation of raw requests over every classic route, to be held with two servers."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

API = "/api/2.0/mlflow/"


class Step(Struct, frozen=True):
    """A request; ``{names}`` in it stand for what earlier answers held, ``keep`` names a place in this one's."""

    method: str
    path: str
    fields: dict[str, Any] = {}
    keep: dict[str, str] = {}


class Answer(Struct):
    """A status, and the body with ids, times and addresses replaced by what they are."""

    status: int
    body: Any


def post(path: str, /, keep: dict[str, str] | None = None, method: str = "POST", **fields: Any) -> Step:
    return Step(method, path, fields, keep or {})


def get(path: str, /, keep: dict[str, str] | None = None, **fields: Any) -> Step:
    return Step("GET", path, fields, keep or {})


def hold(url: str, steps: list[Step]) -> Iterator[Answer]:
    """The answers of the server at ``url``, in order."""
    known: dict[str, str] = {}
    for step in steps:
        status, body = _send(url, step, known)
        for name, place in step.keep.items():
            known[name] = str(_at(body, place))
        yield Answer(status, _plain(body, {value: f"<{name}>" for name, value in known.items() if len(value) > 8}))


def _send(url: str, step: Step, known: dict[str, str]) -> tuple[int, Any]:
    path, fields = _filled(step.path, known), _filled(step.fields, known)
    target = url + (path if path.startswith("/") else API + path)
    raw = fields.get("raw") if isinstance(fields, dict) else None
    data: bytes | None = None
    headers = {"Content-Type": "application/json"}
    if raw is not None:
        data, headers = str(raw).encode(), {"Content-Type": str(fields.get("type", "application/json"))}
    elif step.method == "GET":
        target += "?" + urlencode(fields, doseq=True) if fields else ""
    else:
        data = json.dumps(fields).encode()
    request = urllib.request.Request(target, data=data, method=step.method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, _read(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _read(error.read())


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


def _filled(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: known.get(match.group(1), match.group()), value)
    if isinstance(value, dict):
        return {key: _filled(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, known) for each in value]
    return value


def _at(body: Any, place: str) -> Any:
    for part in place.split("."):
        body = body[int(part)] if isinstance(body, list) else body[part]
    return body


def _plain(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each, names) for key, each in value.items() if key not in ("sqlstate", "error_class")}
    if isinstance(value, list):
        return [_plain(each, names) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and value > 10**12:
        return "<ms>"
    if isinstance(value, str):
        for known, name in names.items():
            value = value.replace(known, name)
    return value


T = 1_700_000_000_000
STEPS: list[Step] = [
    get("/health"),
    # experiments
    post("experiments/create", name="first", tags=[{"key": "a", "value": "1"}], keep={"exp": "experiment_id"}),
    post("experiments/create", name="first"),
    post("experiments/create"),
    post("experiments/create", name=""),
    post("experiments/create", name="x" * 501),
    post("experiments/create", name="loc", artifact_location="s3://b/x?y=1"),
    post("experiments/create", name="loc", artifact_location="s3://b/../x"),
    post("experiments/create", name="loc", artifact_location="runs:/abc/x"),
    post("experiments/create", name="loc", artifact_location="s3://b/x#frag"),
    post("experiments/create", name="loc", artifact_location="s3://b/" + "x" * 2100),
    post("experiments/create", name="other", artifact_location="s3://bucket/place", keep={"other": "experiment_id"}),
    get("experiments/get", experiment_id="{exp}"),
    get("experiments/get"),
    get("experiments/get", experiment_id="999999"),
    get("experiments/get", experiment_id="abc"),
    get("experiments/get-by-name", experiment_name="first"),
    get("experiments/get-by-name", experiment_name="nobody"),
    get("experiments/get-by-name"),
    get("experiments/search", max_results=10),
    get("experiments/search"),
    get("experiments/search", max_results=0),
    get("experiments/search", max_results=50001),
    get("experiments/search", max_results="abc"),
    post("experiments/search", max_results=1, order_by=["name ASC"], keep={"etoken": "next_page_token"}),
    post("experiments/search", max_results=1, order_by=["name ASC"], page_token="{etoken}"),
    post("experiments/search", max_results=1, page_token="!!"),
    post("experiments/search", max_results=5, filter="name LIKE 'fir%'"),
    post("experiments/search", max_results=5, filter="tags.a = '1'"),
    post("experiments/search", max_results=5, filter="name ~ 'x'"),
    post("experiments/search", max_results=5, filter="nothing = 'x'"),
    post("experiments/search", max_results=5, order_by=["tags.a"]),
    post("experiments/search", max_results=5, view_type="SOME"),
    post("experiments/search", max_results=5, view_type="ALL"),
    post("experiments/update", experiment_id="{exp}", new_name="renamed"),
    post("experiments/update", experiment_id="{exp}"),
    post("experiments/update", experiment_id="{exp}", new_name="other"),
    post("experiments/update", experiment_id="999999", new_name="x"),
    post("experiments/set-experiment-tag", experiment_id="{exp}", key="b", value="2"),
    post("experiments/set-experiment-tag", experiment_id="{exp}", key="b"),
    post("experiments/set-experiment-tag", experiment_id="{exp}", value="b"),
    post("experiments/set-experiment-tag", experiment_id="{exp}", key="k" * 251, value="v"),
    post("experiments/set-experiment-tag", experiment_id="{exp}", key="k", value="v" * 5001),
    post("experiments/set-experiment-tag", experiment_id="{exp}", key="k", value="v" * 20001),
    post("experiments/delete-experiment-tag", experiment_id="{exp}", key="b"),
    post("experiments/delete-experiment-tag", experiment_id="{exp}", key="b"),
    post("experiments/delete", experiment_id="{other}"),
    post("experiments/delete", experiment_id="{other}"),
    post("experiments/create", name="other"),
    post("experiments/set-experiment-tag", experiment_id="{other}", key="b", value="2"),
    post("experiments/update", experiment_id="{other}", new_name="x"),
    post("runs/create", experiment_id="{other}"),
    post("experiments/search", max_results=5, view_type="DELETED_ONLY"),
    post("experiments/restore", experiment_id="{other}"),
    post("experiments/restore", experiment_id="{other}"),
    post("experiments/delete", experiment_id="0"),
    post("experiments/restore", experiment_id="0"),
    # runs
    post("runs/create", experiment_id="{exp}", run_name="one", start_time=T, user_id="me",
         tags=[{"key": "t", "value": "1"}], keep={"run": "run.info.run_id"}),
    post("runs/create", experiment_id="{exp}", start_time=T + 1, tags=[{"key": "mlflow.runName", "value": "two"}],
         keep={"two": "run.info.run_id"}),
    post("runs/create", experiment_id="{exp}", run_name="a", tags=[{"key": "mlflow.runName", "value": "b"}]),
    post("runs/create", experiment_id="999999"),
    post("runs/create", experiment_id="{exp}", start_time="soon"),
    get("runs/get", run_id="{run}"),
    get("runs/get", run_uuid="{run}"),
    get("runs/get"),
    get("runs/get", run_id="0" * 32),
    post("runs/update", run_id="{run}", status="FINISHED", end_time=T + 5),
    post("runs/update", run_id="{run}", run_name="uno"),
    post("runs/update", run_id="{run}", status="DONE"),
    post("runs/update", run_id="0" * 32, status="FAILED"),
    post("runs/update", status="FAILED"),
    post("runs/log-metric", run_id="{run}", key="m", value=1.5, timestamp=T, step=1),
    post("runs/log-metric", run_id="{run}", key="m", value=1.5, timestamp=T, step=1),
    post("runs/log-metric", run_id="{run}", key="m", value=0.5, timestamp=T + 1, step=2),
    post("runs/log-metric", run_id="{run}", key="n", value="NaN", timestamp=T),
    post("runs/log-metric", run_id="{run}", key="m", timestamp=T),
    post("runs/log-metric", run_id="{run}", key="m", value=1),
    post("runs/log-metric", run_id="{run}", value=1, timestamp=T),
    post("runs/log-metric", run_id="{run}", key="m", value="x", timestamp=T),
    post("runs/log-metric", run_id="{run}", key="m", value=1, timestamp=-1),
    post("runs/log-metric", run_id="{run}", key="m", value=1, timestamp="abc"),
    post("runs/log-metric", run_id="{run}", key="m", value=1, timestamp=T, step="x"),
    post("runs/log-metric", run_id="{run}", key="../m", value=1, timestamp=T),
    post("runs/log-metric", run_id="{run}", key="m" * 251, value=1, timestamp=T),
    post("runs/log-metric", run_id="{run}", key="m*", value=1, timestamp=T),
    post("runs/log-metric", run_id="0" * 32, key="m", value=1, timestamp=T),
    post("runs/log-metric", key="m", value=1, timestamp=T),
    post("runs/log-parameter", run_id="{run}", key="p", value="1"),
    post("runs/log-parameter", run_id="{run}", key="p", value="1"),
    post("runs/log-parameter", run_id="{run}", key="p", value="2"),
    post("runs/log-parameter", run_id="{run}", key="empty", value=""),
    post("runs/log-parameter", run_id="{run}", key="absent"),
    post("runs/log-parameter", run_id="{run}", value="1"),
    post("runs/log-parameter", run_id="{run}", key="/p", value="1"),
    post("runs/log-parameter", run_id="{run}", key="p" * 251, value="1"),
    post("runs/set-tag", run_id="{run}", key="t", value="2"),
    post("runs/set-tag", run_id="{run}", key="mlflow.runName", value="eins"),
    post("runs/set-tag", run_id="{run}", value="2"),
    post("runs/set-tag", run_id="{run}", key="t/../x", value="2"),
    post("runs/delete-tag", run_id="{run}", key="t"),
    post("runs/delete-tag", run_id="{run}", key="t"),
    post("runs/delete-tag", run_id="{run}"),
    post("runs/log-batch", run_id="{run}", metrics=[{"key": "b", "value": 2, "timestamp": T, "step": 3}],
         params=[{"key": "q", "value": "x"}], tags=[{"key": "u", "value": "y"}]),
    post("runs/log-batch", run_id="{run}"),
    post("runs/log-batch"),
    post("runs/log-batch", run_id="{run}", metrics=[{"value": 2, "timestamp": T}]),
    post("runs/log-batch", run_id="{run}", metrics=[{"key": "b", "timestamp": T}]),
    post("runs/log-batch", run_id="{run}", metrics=[{"key": "b", "value": 1}]),
    post("runs/log-batch", run_id="{run}", metrics="x"),
    post("runs/log-batch", run_id="{run}", params=[{"value": "2"}]),
    post("runs/log-batch", run_id="{run}", params=[{"key": "d", "value": "2"}, {"key": "d", "value": "3"}]),
    post("runs/log-batch", run_id="{run}", params=[{"key": "q", "value": "changed"}]),
    post("runs/log-batch", run_id="{run}", params=[{"key": f"p{n}", "value": "2"} for n in range(101)]),
    post("runs/log-batch", run_id="{run}", tags=[{"key": f"p{n}", "value": "2"} for n in range(101)]),
    post("runs/log-batch", run_id="{run}", metrics=[{"key": "x", "value": 1, "timestamp": T}] * 1001),
    post("runs/log-batch", run_id="{run}", metrics=[{"key": "x", "value": 1, "timestamp": T}] * 999,
         tags=[{"key": f"p{n}", "value": "2"} for n in range(2)]),
    post("runs/log-batch", run_id="{run}", tags=[{"key": "k" * 251, "value": "2"}]),
    get("runs/get", run_id="{run}"),
    post("runs/search", experiment_ids=["{exp}"]),
    post("runs/search", experiment_ids=["{exp}"], filter="metrics.m < 1 AND params.p = '1'"),
    post("runs/search", experiment_ids=["{exp}"], filter="metrics.m < 'x'"),
    post("runs/search", experiment_ids=["{exp}"], filter="params.p = 1"),
    post("runs/search", experiment_ids=["{exp}"], filter="params.p > '1'"),
    post("runs/search", experiment_ids=["{exp}"], filter="params.p = '1' OR params.p = '2'"),
    post("runs/search", experiment_ids=["{exp}"], filter="(params.p = '1')"),
    post("runs/search", experiment_ids=["{exp}"], filter="attribute.nothing = '1'"),
    post("runs/search", experiment_ids=["{exp}"], filter="something.p = '1'"),
    post("runs/search", experiment_ids=["{exp}"], filter="tags.x IS NULL"),
    post("runs/search", experiment_ids=["{exp}"], filter="run_id IN ('{run}')"),
    post("runs/search", experiment_ids=["{exp}"], filter="status IN ('FINISHED')"),
    post("runs/search", experiment_ids=["{exp}"], filter="start_time > 5"),
    post("runs/search", experiment_ids=["{exp}"], filter="start_time > 'x'"),
    post("runs/search", experiment_ids=["{exp}"], order_by=["metrics.m DESC"]),
    post("runs/search", experiment_ids=["{exp}"], order_by=["metrics.m DOWN"]),
    post("runs/search", experiment_ids=["{exp}"], order_by=["nothing.m"]),
    post("runs/search", experiment_ids=["{exp}"], max_results=1, keep={"rtoken": "next_page_token"}),
    post("runs/search", experiment_ids=["{exp}"], max_results=1, page_token="{rtoken}"),
    post("runs/search", experiment_ids=["{exp}"], max_results=50001),
    post("runs/search", experiment_ids=["{exp}"], max_results=-1),
    post("runs/search", experiment_ids=["{exp}"], page_token="zzz"),
    post("runs/search", experiment_ids=["{exp}"], run_view_type="WRONG"),
    post("runs/search"),
    post("runs/search", experiment_ids=["999"]),
    post("runs/delete", run_id="{two}"),
    post("runs/delete", run_id="{two}"),
    post("runs/delete"),
    post("runs/delete", run_id="0" * 32),
    get("runs/get", run_id="{two}"),
    post("runs/log-metric", run_id="{two}", key="m", value=1, timestamp=T),
    post("runs/update", run_id="{two}", status="FAILED"),
    post("runs/set-tag", run_id="{two}", key="t", value="2"),
    post("runs/search", experiment_ids=["{exp}"], run_view_type="DELETED_ONLY"),
    post("runs/restore", run_id="{two}"),
    post("runs/restore", run_id="{two}"),
    post("runs/log-model", run_id="{run}", model_json="{}"),
    post("runs/log-model", run_id="{run}"),
    post("runs/log-model", run_id="{run}", model_json="nonsense"),
    post("runs/log-inputs", run_id="{run}", datasets=[{"tags": [{"key": "mlflow.data.context", "value": "training"}],
         "dataset": {"name": "d", "digest": "1", "source_type": "local", "source": "s"}}]),
    post("runs/log-inputs", run_id="{run}"),
    post("runs/log-inputs", run_id="{run}", datasets=[{"dataset": {"name": "d" * 501, "digest": "1",
         "source_type": "local", "source": "s"}}]),
    post("runs/search", experiment_ids=["{exp}"], filter="dataset.name = 'd'"),
    post("/ajax-api/2.0/mlflow/experiments/search-datasets", experiment_ids=["{exp}"]),
    post("/ajax-api/2.0/mlflow/experiments/search-datasets", experiment_ids=[]),
    # metrics
    get("metrics/get-history", run_id="{run}", metric_key="m"),
    get("metrics/get-history", run_id="{run}", metric_key="none"),
    get("metrics/get-history", run_id="{run}"),
    get("metrics/get-history", metric_key="m"),
    get("metrics/get-history", run_id="0" * 32, metric_key="m"),
    get("metrics/get-history", run_id="{run}", metric_key="m", max_results=1, keep={"mtoken": "next_page_token"}),
    get("metrics/get-history", run_id="{run}", metric_key="m", max_results=1, page_token="{mtoken}"),
    get("metrics/get-history", run_id="{run}", metric_key="m", max_results=0),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", run_id="{run}", metric_key="m"),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", run_id="{run}"),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", metric_key="m"),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", run_ids="{run}", metric_key="m", max_results=100),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", run_ids="{run}", metric_key="m", start_step=1),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", run_ids="{run}", metric_key="m", start_step=3,
        end_step=1),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", run_ids="{run}", metric_key="m", max_results=5000),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", metric_key="m"),
    # artifacts
    post("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/a/b.txt", raw="hello", type="text/plain",
         method="PUT"),
    get("artifacts/list", run_id="{run}"),
    get("artifacts/list", run_id="{run}", path="a"),
    get("artifacts/list", run_id="{run}", path="a/b.txt"),
    get("artifacts/list", run_id="{run}", path="nothing"),
    get("artifacts/list", run_id="{run}", path="../.."),
    get("artifacts/list", run_id="{run}", path="/etc"),
    get("artifacts/list"),
    get("artifacts/list", run_id="0" * 32),
    get("/api/2.0/mlflow-artifacts/artifacts", path="{exp}/{run}/artifacts"),
    get("/api/2.0/mlflow-artifacts/artifacts", path="nothing/there"),
    get("/api/2.0/mlflow-artifacts/artifacts", path="{exp}/{run}/artifacts/a/b.txt"),
    get("/api/2.0/mlflow-artifacts/artifacts", path="../x"),
    get("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/a/b.txt"),
    get("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/a"),
    get("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/none"),
    get("/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x"),
    get("/get-artifact", run_id="{run}", path="a/b.txt"),
    get("/get-artifact", run_id="{run}", path="none"),
    get("/get-artifact", run_id="{run}", path="../x"),
    get("/get-artifact", run_id="{run}"),
    post("artifacts/presigned-upload-url", run_id="{run}", path="x.bin"),
    post("artifacts/presigned-download-url", run_id="{run}", path="a/b.txt"),
    post("/api/2.0/mlflow-artifacts/mpu/create/{exp}/{run}/artifacts/x", path="x", num_parts=2),
    get("/api/2.0/mlflow-artifacts/presigned/{exp}/{run}/artifacts/a/b.txt"),
    post("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/a/b.txt", method="DELETE"),
    get("/api/3.0/mlflow/server-info"),
    # logged models
    post("logged-models", experiment_id="{exp}", name="net", model_type="tree", source_run_id="{run}",
         params=[{"key": "a", "value": "1"}], tags=[{"key": "b", "value": "2"}], keep={"model": "model.info.model_id"}),
    post("logged-models", name="net"),
    post("logged-models", experiment_id="{exp}", name="a/b"),
    post("logged-models", experiment_id="999999", name="net"),
    get("logged-models/{model}"),
    get("logged-models/m-00000000000000000000000000000000"),
    post("logged-models/{model}", method="PATCH", model_id="{model}", status="LOGGED_MODEL_READY"),
    post("logged-models/{model}", method="PATCH", model_id="{model}", status="READY"),
    post("logged-models/{model}", method="PATCH", model_id="{model}", status="LOGGED_MODEL_READY"),
    post("logged-models/{model}", method="PATCH", model_id="{model}"),
    post("logged-models/{model}/tags", method="PATCH", tags=[{"key": "c", "value": "3"}]),
    post("logged-models/{model}/tags/c", method="DELETE"),
    post("logged-models/{model}/tags/c", method="DELETE"),
    post("logged-models/{model}/params", params=[{"key": "a", "value": "1"}]),
    post("runs/log-metric", run_id="{run}", key="acc", value=0.5, timestamp=T, model_id="{model}", dataset_name="d",
         dataset_digest="1"),
    post("logged-models/search", experiment_ids=["{exp}"]),
    post("logged-models/search"),
    post("logged-models/search", experiment_ids=["{exp}"], filter="metrics.acc > 0.1"),
    post("logged-models/search", experiment_ids=["{exp}"], filter="name = 'net' AND params.a = '1'"),
    post("logged-models/search", experiment_ids=["{exp}"], filter="nothing.acc > 0.1"),
    post("logged-models/search", experiment_ids=["{exp}"], filter="metrics.acc > 0.1 OR name = 'net'"),
    post("logged-models/search", experiment_ids=["{exp}"],
         order_by=[{"field_name": "metrics.acc", "ascending": False}]),
    post("logged-models/search", experiment_ids=["{exp}"], order_by=[{"field_name": "nothing"}]),
    post("logged-models/search", experiment_ids=["{exp}"], page_token="zz"),
    get("logged-models/{model}/artifacts/directories"),
    post("runs/outputs", run_id="{run}", models=[{"model_id": "{model}", "step": 2}]),
    post("runs/outputs", run_id="{run}"),
    get("runs/get", run_id="{run}"),
    # registry
    post("registered-models/create", name="reg", description="d", tags=[{"key": "a", "value": "1"}]),
    post("registered-models/create", name="reg"),
    post("registered-models/create"),
    post("registered-models/create", name="a/b"),
    post("registered-models/create", name="a:b"),
    post("registered-models/create", name=".."),
    get("registered-models/get", name="reg"),
    get("registered-models/get", name="none"),
    get("registered-models/get"),
    get("registered-models/search"),
    get("registered-models/search", filter="name LIKE 're%'"),
    get("registered-models/search", filter="tags.a = '1'"),
    get("registered-models/search", filter="run_id = '1'"),
    get("registered-models/search", max_results=1001),
    get("registered-models/search", order_by="name DESC"),
    get("registered-models/search", order_by="nothing DESC"),
    get("registered-models/search", filter="name ~ 'x'"),
    post("registered-models/update", method="PATCH", name="reg", description="e"),
    post("registered-models/update", method="PATCH", name="none", description="e"),
    post("registered-models/set-tag", name="reg", key="k", value="v"),
    post("registered-models/set-tag", name="reg", value="v"),
    post("registered-models/set-tag", name="none", key="k", value="v"),
    post("registered-models/delete-tag", method="DELETE", name="reg", key="k"),
    post("registered-models/delete-tag", method="DELETE", name="reg", key="k"),
    post("model-versions/create", name="reg", source="s3://b/m", description="v1"),
    post("model-versions/create", name="reg", source="models:/{model}", model_id="{model}", run_id="{run}"),
    post("model-versions/create", name="reg", source="runs:/{run}/model", run_id="{run}"),
    post("model-versions/create", name="none", source="s3://b/m"),
    post("model-versions/create", name="reg"),
    post("model-versions/create", source="s3://b/m"),
    post("model-versions/create", name="reg", source="/etc/passwd"),
    post("model-versions/create", name="reg", source="file:///etc"),
    post("model-versions/create", name="reg", source="mlflow-artifacts:/x/../y"),
    post("model-versions/create", name="reg", source="runs:/{run}/model"),
    get("model-versions/get", name="reg", version="1"),
    get("model-versions/get", name="reg", version="99"),
    get("model-versions/get", name="reg", version="x"),
    get("model-versions/get", name="reg"),
    get("model-versions/search"),
    get("model-versions/search", filter="name = 'reg'", order_by="version_number ASC"),
    get("model-versions/search", filter="run_id IN ('{run}')"),
    get("model-versions/search", filter="nothing = 'x'"),
    get("model-versions/search", max_results=200001),
    get("model-versions/get-download-uri", name="reg", version="1"),
    get("model-versions/get-download-uri", name="reg", version="2"),
    get("model-versions/get-download-uri", name="reg", version="99"),
    post("model-versions/update", method="PATCH", name="reg", version="1", description="new"),
    post("model-versions/update", method="PATCH", name="reg", version="99", description="new"),
    post("model-versions/transition-stage", name="reg", version="1", stage="staging", archive_existing_versions=False),
    post("model-versions/transition-stage", name="reg", version="2", stage="Staging", archive_existing_versions=True),
    post("model-versions/transition-stage", name="reg", version="1", stage="Nowhere", archive_existing_versions=False),
    post("model-versions/transition-stage", name="reg", version="1", archive_existing_versions=False),
    post("model-versions/transition-stage", name="reg", version="1", stage="None", archive_existing_versions=True),
    post("registered-models/get-latest-versions", name="reg"),
    post("registered-models/get-latest-versions", name="reg", stages=["Staging"]),
    post("registered-models/get-latest-versions", name="reg", stages=["Wrong"]),
    post("registered-models/get-latest-versions", name="none"),
    get("registered-models/get-latest-versions", name="reg", stages="None"),
    post("model-versions/set-tag", name="reg", version="1", key="k", value="v"),
    post("model-versions/set-tag", name="reg", version="1", value="v"),
    post("model-versions/set-tag", name="reg", version="99", key="k", value="v"),
    post("model-versions/set-tag", name="reg", key="k", value="v"),
    post("model-versions/delete-tag", method="DELETE", name="reg", version="1", key="k"),
    post("model-versions/delete-tag", method="DELETE", name="reg", version="1", key="k"),
    post("registered-models/alias", name="reg", alias="champ", version="1"),
    post("registered-models/alias", name="reg", alias="latest", version="1"),
    post("registered-models/alias", name="reg", alias="v1", version="1"),
    post("registered-models/alias", name="reg", alias="a b", version="1"),
    post("registered-models/alias", name="reg", alias="champ", version="99"),
    post("registered-models/alias", name="reg", alias="champ"),
    post("registered-models/alias", name="none", alias="champ", version="1"),
    get("registered-models/alias", name="reg", alias="champ"),
    get("registered-models/alias", name="reg", alias="latest"),
    get("registered-models/alias", name="reg", alias="nobody"),
    get("registered-models/get", name="reg"),
    post("registered-models/alias", method="DELETE", name="reg", alias="champ"),
    post("registered-models/alias", method="DELETE", name="reg", alias="champ"),
    post("registered-models/rename", name="reg", new_name="gister"),
    post("registered-models/rename", name="none", new_name="x"),
    post("registered-models/rename", name="gister"),
    post("model-versions/delete", method="DELETE", name="gister", version="1"),
    post("model-versions/delete", method="DELETE", name="gister", version="1"),
    get("model-versions/get", name="gister", version="1"),
    post("model-versions/create", name="gister", source="s3://b/m"),
    post("registered-models/delete", method="DELETE", name="gister"),
    post("registered-models/delete", method="DELETE", name="gister"),
    get("registered-models/get", name="gister"),
    post("logged-models/{model}", method="DELETE"),
    get("logged-models/{model}"),
    # transport
    post("runs/create", raw="{", type="application/json"),
    post("runs/create", raw="[]", type="application/json"),
    post("runs/create", raw="{}", type="text/plain"),
    post("runs/create", raw='"{\\"experiment_id\\": \\"0\\", \\"run_name\\": \\"twice\\"}"', type="application/json",
         keep={"twice": "run.info.run_id"}),
    post("runs/create", experiment_id="0", experimentId="0"),
    post("runs/create", experimentId="0", runName="camel", unknown=1, keep={"camel": "run.info.run_id"}),
    # what one server takes and the other refuses comes last, where nothing that it leaves behind is asked for
    post("experiments/create", name=7),
    post("runs/create", experiment_id="{exp}", tags="t"),
    post("runs/create", experiment_id="{exp}", tags=[{"value": "1"}]),
    post("runs/log-metric", run_id="{run}", key="m", value=True, timestamp=T),
    post("runs/log-batch", run_id="{run}", metrics=[{"key": "b", "value": "x", "timestamp": T}]),
    post("runs/log-inputs", run_id="{run}", datasets=[{"dataset": {"digest": "1", "source_type": "l", "source": "s"}}]),
    post("runs/log-inputs", run_id="{run}", datasets=[{"tags": [{"value": "x"}], "dataset": {"name": "d",
         "digest": "1", "source_type": "local", "source": "s"}}]),
]  # fmt: skip
