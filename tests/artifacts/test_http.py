"""The artifact proxy's client: whom it gives credentials to, and what it takes from a hostile server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from penstock.artifacts.open import open_artifacts
from penstock.ground.errors import Forbidden, InvalidInput, NotFound, Unavailable


class Recording(ThreadingHTTPServer):
    """A server that lists whatever it is told to, and keeps what it was sent."""

    names: tuple[str, ...] = ()
    status = 200
    authorizations: list[str | None]
    paths: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Recording

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization"))
        self.server.paths.append(self.path)
        files = [{"path": name, "is_dir": False, "file_size": 1} for name in self.server.names]
        body = json.dumps({"files": files}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def servers() -> Iterator[tuple[Recording, Recording]]:
    made = []
    for _ in range(2):
        server = Recording(("127.0.0.1", 0), Handler)
        server.authorizations, server.paths = [], []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
    yield made[0], made[1]
    for server in made:
        server.shutdown()
        server.server_close()


def _url(server: Recording) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_credentials_go_to_the_tracking_server_only(
    servers: tuple[Recording, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = servers
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    tracking = _url(ours)
    open_artifacts("mlflow-artifacts:/1", tracking_uri=tracking).list()
    open_artifacts(f"mlflow-artifacts://127.0.0.1:{other.server_port}/1", tracking_uri=tracking).list()
    open_artifacts(f"{_url(other)}/api/2.0/mlflow-artifacts/artifacts/1", tracking_uri=tracking).list()
    open_artifacts(f"{tracking}/api/2.0/mlflow-artifacts/artifacts/1").list()
    assert ours.authorizations == ["Bearer secret", None]
    assert other.authorizations == [None, None]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..\\x", "%2e%2e/x", "C:\\x"])
def test_a_hostile_listing_is_refused(name: str, servers: tuple[Recording, Recording], tmp_path: Path) -> None:
    servers[0].names = (name,)
    repository = open_artifacts("mlflow-artifacts:/1", tracking_uri=_url(servers[0]))
    with pytest.raises(InvalidInput):
        repository.list()
    with pytest.raises(InvalidInput):
        repository.download("", tmp_path / "got")
    assert list(tmp_path.iterdir()) == []


def test_names_are_quoted_once(servers: tuple[Recording, Recording]) -> None:
    server = servers[0]
    with open_artifacts("mlflow-artifacts:/a%20b", tracking_uri=_url(server)).open("c d/#é?;.txt") as reading:
        reading.read()
    assert server.paths == ["/api/2.0/mlflow-artifacts/artifacts/a%20b/c%20d/%23%C3%A9%3F%3B.txt"]


@pytest.mark.parametrize(
    ("uri", "tracking"),
    [
        ("mlflow-artifacts:/1", None),
        ("mlflow-artifacts:/1", "sqlite:///x.db"),
        ("mlflow-artifacts:/../1", "http://127.0.0.1:1"),
        ("mlflow-artifacts:/%2e%2e/1", "http://127.0.0.1:1"),
        ("mlflow-artifacts:/1?x=/../../y", "http://127.0.0.1:1"),
        ("mlflow-artifacts:/1#/../../y", "http://127.0.0.1:1"),
        ("http://127.0.0.1:1/somewhere/else", None),
    ],
)
def test_uris_that_are_no_artifact_root_are_refused(uri: str, tracking: str | None) -> None:
    with pytest.raises(InvalidInput):
        open_artifacts(uri, tracking_uri=tracking)


@pytest.mark.parametrize(
    ("status", "error"), [(403, Forbidden), (404, NotFound), (400, InvalidInput), (500, Unavailable)]
)
def test_an_answer_becomes_the_error_it_stands_for(
    status: int, error: type[Exception], servers: tuple[Recording, Recording]
) -> None:
    servers[0].status = status
    with pytest.raises(error):
        open_artifacts("mlflow-artifacts:/1", tracking_uri=_url(servers[0])).list()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="is away"):
        open_artifacts("mlflow-artifacts:/1", tracking_uri="http://127.0.0.1:9").list()
