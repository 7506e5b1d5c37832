"""The web UI's files, and the GraphQL questions that MLflow's pages ask."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.ground.errors import InvalidInput
from penstock.server.ui import ui_folder
from server.running import Answer, Client, options_in, running

SCRIPT = b"console.log('water');\n" * 200
RUN = """
query GetRun($data: MlflowGetRunInput!) @component(name: "page") {
  mlflowGetRun(input: $data) {
    apiError { code }
    run {
      info { runName status experimentId endTime lifecycleStage }
      experiment { experimentId name tags { key } }
      modelVersions { name version status }
      data { metrics { key value step timestamp } params { key } ...Tags }
      inputs { datasetInputs { dataset { digest } } }
    }
  }
}
fragment Tags on MlflowRunData { tags { key value } }
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("ui")
    pages = folder / "pages"
    (pages / "static").mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html><title>pages</title>")
    (pages / "static" / "main.c2f5f8d4.js").write_bytes(SCRIPT)
    (pages / "link.txt").symlink_to("/etc/hostname")
    (folder / "secret.txt").write_text("secret")
    with running(options_in(folder, ui_folder=pages)) as port:
        made = Client(port)
        yield made
        made.close()


def test_the_index_is_asked_for_again_each_time_and_not_sent_twice(client: Client) -> None:
    first = client.get("/")
    assert (first.status, first.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert first.headers["cache-control"] == "no-cache"
    again = client.send("GET", "/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_a_script_is_compressed_and_kept_for_good(client: Client) -> None:
    path = "/static-files/static/main.c2f5f8d4.js"
    packed = client.send("GET", path, headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(packed.body) == SCRIPT
    assert packed.headers["content-encoding"] == "gzip"
    assert "immutable" in packed.headers["cache-control"]
    plain = client.get(path)
    assert (plain.body, "content-encoding" in plain.headers) == (SCRIPT, False)
    assert plain.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "%2e%2e/secret.txt", "static/../../secret.txt", "..%2fsecret.txt", "..%5csecret.txt", "link.txt",
     "%252e%252e/secret.txt", "/etc/hostname", "static", "", "static/main.c2f5f8d4.js%00", "C:/secret.txt"],
)  # fmt: skip
def test_nothing_but_the_pages_files_is_sent(client: Client, path: str) -> None:
    assert client.get(f"/static-files/{path}").status == 404


def test_a_folder_without_an_index_is_no_ui(tmp_path: Path) -> None:
    assert ui_folder("none") is None
    with pytest.raises(InvalidInput, match=r"index\.html"):
        ui_folder(str(tmp_path))


def ask(client: Client, query: str, **variables: Any) -> Answer:
    return client.post("/graphql", query=query, variables=variables, operationName=None)


def test_the_run_page_gets_its_run(client: Client) -> None:
    run_id = client.make_run(run_name="weir", start_time=1)
    client.post("runs/log-batch", run_id=run_id, metrics=[
        {"key": "a", "value": 1.5, "step": 2, "timestamp": 7}, {"key": "b", "value": "NaN", "timestamp": 7},
        {"key": "c", "value": "-Infinity", "timestamp": 7},
    ])  # fmt: skip
    client.post("registered-models/create", name="gate")
    assert client.post("model-versions/create", name="gate", source="s3://b/m", run_id=run_id).status == 200
    answer = ask(client, RUN, data={"runId": run_id}).json
    assert answer["errors"] is None
    run = answer["data"]["mlflowGetRun"]["run"]
    assert run["info"] == {
        "runName": "weir", "status": "RUNNING", "experimentId": "0", "endTime": "0", "lifecycleStage": "active",
    }  # fmt: skip
    assert run["experiment"] == {"experimentId": "0", "name": "Default", "tags": []}
    assert run["modelVersions"] == [{"name": "gate", "version": "1", "status": "READY"}]
    assert run["data"]["metrics"] == [
        {"key": "a", "value": 1.5, "step": "2", "timestamp": "7"},
        {"key": "b", "value": None, "step": "0", "timestamp": "7"},
        {"key": "c", "value": -1.7976931348623157e308, "step": "0", "timestamp": "7"},
    ]
    assert run["data"]["tags"] == [{"key": "mlflow.runName", "value": "weir"}]
    assert run["inputs"] == {"datasetInputs": []}
    found = ask(
        client,
        "query ($data: MlflowSearchRunsInput) { mlflowSearchRuns(input: $data) { runs { modelVersions { name } } } }",
        data={"experimentIds": ["0"], "filter": "attributes.run_name = 'weir'"},
    )
    assert found.json["data"] == {"mlflowSearchRuns": {"runs": [{"modelVersions": [{"name": "gate"}]}]}}


def test_what_is_missing_or_malformed_is_said(client: Client) -> None:
    answer = ask(client, RUN, data={"runId": "0" * 32}).json
    assert answer["data"] == {"mlflowGetRun": None}
    assert "not found" in answer["errors"][0]
    assert "Cannot query field 'users'" in ask(client, "{ users { name } }").json["errors"][0]
    assert ask(client, "{ mlflowGetRun").code == "INVALID_PARAMETER_VALUE"
    assert ask(client, "{" * 20_000).status == 400
    assert client.post("/graphql", query="{ test { output } }", variables=[1]).code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{" + " ".join(f"a{n}: test {{ output }}" for n in range(11)) + "}", "at most 10 root fields"),
        ("{ test { " + " ".join(f"a{n}: output" for n in range(11)) + " } }", "at most 10 aliases"),
        ("{ ...A } fragment A on Query { ...B ...B ...B } fragment B on Query { " + "test { output } " * 4 + "}",
         "at most 10 root fields"),
        ("{" + "test {" * 11 + "output" + "}" * 12, "maximum depth"),
        ("{ test { " + "output " * 1001 + "} }", "maximum total selections"),
        ("{ ...A } fragment A on Query { ...A test { output } }", "fragment"),
    ],
)  # fmt: skip
def test_a_question_that_asks_for_too_much_is_refused_unrun(client: Client, query: str, reason: str) -> None:
    answer = ask(client, query)
    assert reason in answer.body.decode()
    assert answer.status == 400 or answer.json["data"] is None
