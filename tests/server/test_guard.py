"""Host headers and origins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.running import Client, options_in, running

PATH = "/api/2.0/mlflow/experiments/get?experiment_id=0"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "10.1.2.3", "192.168.0.9:80"]
)
def test_local_and_private_hosts_are_welcome(client: Client, host: str) -> None:
    assert client.send("GET", PATH, headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:5000", "10.evil.example", ""]
)
def test_other_hosts_are_refused_in_plain_text(client: Client, host: str) -> None:
    answer = client.send("GET", PATH, headers={"Host": host})
    assert (answer.status, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert b"DNS rebinding" in answer.body
    assert client.send("GET", "/health", headers={"Host": host}).status == 200


def test_strange_origins_change_nothing(client: Client) -> None:
    body, path = json.dumps({"experiment_id": "0"}), "/api/2.0/mlflow/runs/create"
    headers = {"Content-Type": "application/json", "Origin": "https://evil.example"}
    answer = client.send("POST", path, body, headers)
    assert (answer.status, answer.body) == (403, b"Cross-origin request blocked")
    mine = client.send("POST", path, body, {**headers, "Origin": "http://localhost:3000"})
    assert (mine.status, mine.headers["access-control-allow-origin"]) == (200, "http://localhost:3000")


def test_preflights_are_answered(client: Client) -> None:
    answer = client.send("OPTIONS", PATH, headers={"Origin": "http://localhost:3000"})
    assert (answer.status, "POST" in answer.headers["access-control-allow-methods"]) == (204, True)
    stranger = client.send("OPTIONS", PATH, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers


def test_hosts_origins_and_a_prefix_can_be_named(tmp_path: Path) -> None:
    options = options_in(
        tmp_path,
        allowed_hosts=("mlflow.example", "*.internal"),
        cors_allowed_origins=("https://app.example",),
        static_prefix="/ml",
        x_frame_options="NONE",
    )
    with running(options) as port:
        client = Client(port, prefix="/ml/api/2.0/mlflow/")
        headers = {"Host": "a.internal", "Origin": "https://app.example", "Content-Type": "application/json"}
        answer = client.send("POST", "runs/create", '{"experiment_id": "0"}', headers)
        assert (answer.status, "x-frame-options" in answer.headers) == (200, False)
        assert client.send("GET", "/ml/health").body == b"OK"
        assert client.send("GET", f"/ml{PATH}").status == 403
        assert (
            client.send("GET", "/api/2.0/mlflow-artifacts/artifacts/x", headers={"Host": "mlflow.example"}).status
            == 404
        )
        client.close()
