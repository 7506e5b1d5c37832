"""Each class of path attack that MLflow's advisories name, tried against every door that takes a path or a place."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from server.running import Client, options_in, running

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
# The class of the advisory, and a path of that class to a file beside the root.
PATHS = {
    "plain (CVE-2023-1177)": "../secret.txt",
    "from inside (CVE-2023-6909)": "a/../../secret.txt",
    "backslash (CVE-2023-2780)": "..\\secret.txt",
    "encoded": "%2e%2e/secret.txt",
    "encoded slash": "..%2Fsecret.txt",
    "encoded twice (CVE-2023-6831, CVE-2024-1560)": "%252e%252e%252Fsecret.txt",
    "absolute": "/etc/hostname",
    "host (CVE-2023-6977)": "//etc/hostname",
    "file URI (CVE-2023-2356)": "file:///etc/hostname",
    "fragment (CVE-2024-3848)": "x#/../../secret.txt",
    "parameters (CVE-2024-1593)": "x;/../../secret.txt",
    "query": "x?/../../secret.txt",
    "zero byte": "../secret.txt\x00.png",
    "drive": "C:\\secret.txt",
}
PLACES = {
    "parent": "mlflow-artifacts:/../../etc",
    "fragment (CVE-2024-3848)": "mlflow-artifacts:/x#/../../etc",
    "parameters (CVE-2024-1593)": "mlflow-artifacts:/x;/../../etc",
    "query (CVE-2024-1483)": "mlflow-artifacts:/x?/../../etc",
    "empty scheme (CVE-2024-3573)": "///proc/self/../../etc",
    "host (CVE-2023-6977)": "file://etc/../etc",
    "runs": "runs:/abc/../..",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("traversal")
    (folder / "secret.txt").write_text("secret")
    with running(options_in(folder)) as port:
        made = Client(port)
        yield made
        made.close()
    assert (folder / "secret.txt").read_text() == "secret"
    assert not [
        path for path in folder.iterdir() if path.name.partition(".")[0] not in ("artifacts", "secret", "server")
    ]


@pytest.mark.parametrize("kind", PATHS)
def test_no_door_reads_outside_its_root(client: Client, kind: str) -> None:
    path = PATHS[kind]
    run_id = client.make_run()
    model = client.post("logged-models", experiment_id="0", name="m").json["model"]["info"]["model_id"]
    asked = [
        client.get("/get-artifact", run_id=run_id, path=path),
        client.get("artifacts/list", run_id=run_id, path=path),
        client.get(PROXY, path=path),
        client.get(f"logged-models/{model}/artifacts/files", artifact_file_path=path),
        client.get(f"logged-models/{model}/artifacts/directories", artifact_directory_path=path),
        client.get(f"/api/2.0/penstock/uploads/{quoted(path)}", sha256="a" * 64, size_bytes=1),
    ]
    for answer in asked:
        assert answer.status in (400, 404) or answer.json.get("files") is None, answer
        assert b"secret" not in answer.body.replace(path.encode(), b"").replace(b"secret.txt", b"")
    for method in ("GET", "PUT", "DELETE"):
        answer = client.send(method, f"{PROXY}/{quoted(path)}", b"x" if method == "PUT" else None)
        assert answer.status in (400, 404), answer


@pytest.mark.parametrize("kind", PLACES)
def test_no_experiment_and_no_version_lies_where_a_path_climbs(client: Client, kind: str) -> None:
    place = PLACES[kind]
    made = client.post("experiments/create", name=secrets.token_hex(6), artifact_location=place)
    assert (made.status, made.code) == (400, "INVALID_PARAMETER_VALUE")
    client.post("registered-models/create", name="m")
    for run_id in (None, client.make_run()):
        fields = {"run_id": run_id} if run_id else {}
        made = client.post("model-versions/create", name="m", source=place, **fields)
        assert (made.status, made.code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_caller_cannot_name_the_folder_of_a_run_or_a_model(client: Client) -> None:
    for run_id in ("ssh", "..", "a/b", "A" * 32):
        assert client.post("runs/create", experiment_id="0", run_id=run_id).code == "INVALID_PARAMETER_VALUE"
    for model_id in ("m-1", "../x", "m-" + "g" * 32):
        made = client.post("logged-models", experiment_id="0", name="m", model_id=model_id)
        assert made.code == "INVALID_PARAMETER_VALUE"


def test_the_server_asks_no_other_server(client: Client) -> None:
    there = "http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts/x"
    made = client.post("experiments/create", name=secrets.token_hex(6), artifact_location=there)
    run_id = client.make_run(experiment_id=made.json["experiment_id"])
    assert "other servers" in client.get("artifacts/list", run_id=run_id).json["message"]
    assert "other servers" in client.get("/get-artifact", run_id=run_id, path="x").json["message"]


def quoted(path: str) -> str:
    """As a client puts it on the request line: what cannot stand there is encoded, and nothing else."""
    for character in ("\x00", "\\", "#", "?", " "):
        path = path.replace(character, f"%{ord(character):02x}")
    return path
