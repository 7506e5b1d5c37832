"""Artifacts through the server: whole or absent, in ranges, and never outside their root."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from penstock.artifacts.http import RESUMED_BYTES
from penstock.artifacts.open import open_artifacts
from server.running import Client, options_in, running
from wire.mlflow_servers import forwarding, free_port

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_001])
def test_what_goes_up_comes_down(client: Client, size: int) -> None:
    content = os.urandom(size)
    assert client.send("PUT", f"{PROXY}/a/{size}.bin", content).body == b"{}"
    answer = client.send("GET", f"{PROXY}/a/{size}.bin")
    assert (answer.status, answer.body == content) == (200, True)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-checksum-sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [("bytes=0-3", b"0123", "bytes 0-3/10"), ("bytes=7-", b"789", "bytes 7-9/10"), ("bytes=-2", b"89", "bytes 8-9/10")],
)
def test_ranges_are_served(client: Client, wanted: str, expected: bytes, content_range: str) -> None:
    client.send("PUT", f"{PROXY}/ranges.txt", b"0123456789")
    answer = client.send("GET", f"{PROXY}/ranges.txt", headers={"Range": wanted})
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, expected, content_range)


def test_a_range_outside_is_416_and_a_strange_one_is_ignored(client: Client) -> None:
    client.send("PUT", f"{PROXY}/ranges.txt", b"0123456789")
    assert client.send("GET", f"{PROXY}/ranges.txt", headers={"Range": "bytes=10-"}).status == 416
    assert client.send("GET", f"{PROXY}/ranges.txt", headers={"Range": "lines=1-2"}).body == b"0123456789"


def test_folders_are_listed_by_base_names_and_deleted(client: Client) -> None:
    client.send("PUT", f"{PROXY}/folder/inner/x.txt", b"x")
    listed = client.get(PROXY, path="folder/inner").json
    assert listed == {"files": [{"path": "x.txt", "is_dir": False, "file_size": 1}]}
    assert client.get(PROXY, path="folder/inner/x.txt").json == {}
    assert client.send("GET", f"{PROXY}/folder/inner").status == 400
    assert client.send("DELETE", f"{PROXY}/folder").status == 200
    answer = client.send("GET", f"{PROXY}/folder/inner/x.txt")
    assert (answer.status, answer.code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_run_lists_and_serves_its_artifacts(client: Client) -> None:
    run_id = client.make_run()
    client.send("PUT", f"{PROXY}/0/{run_id}/artifacts/deep/x.txt", b"hello")
    listed = client.get("artifacts/list", run_id=run_id, path="deep").json
    assert listed["files"] == [{"path": "deep/x.txt", "is_dir": False, "file_size": 5}]
    assert client.get("artifacts/list", run_id=run_id).json["files"] == [{"path": "deep", "is_dir": True}]
    assert client.get("/get-artifact", run_uuid=run_id, path="deep/x.txt").body == b"hello"
    assert client.get("/get-artifact", run_id=run_id, path="../../x").status == 400


HOSTILE = [
    "../secret",
    "..%2fsecret",
    "%2e%2e/secret",
    "%252e%252e%252fsecret",
    "a/../../secret",
    "a/..%5c..%5csecret",
    "%2fetc/passwd",
    "//etc/passwd",
    "C:%5csecret",
    "file:%2f%2f%2fetc/passwd",
    "a%00b",
]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_path_leads_outside_the_root(client: Client, method: str, path: str) -> None:
    answer = client.send(method, f"{PROXY}/{path}", b"x" if method == "PUT" else None)
    assert answer.status == 400
    assert client.get(f"{PROXY}?path={path}").status == 400


def test_the_root_itself_is_not_deleted(client: Client) -> None:
    assert client.send("DELETE", f"{PROXY}/").status == 400


def test_an_upload_that_breaks_off_leaves_nothing(client: Client, port: int) -> None:
    client.send("PUT", f"{PROXY}/half.bin", b"before")
    with socket.create_connection(("127.0.0.1", port)) as raw:
        head = f"PUT {PROXY}/half.bin HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n"
        raw.sendall(head.encode() + b"x" * 5000)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and len(client.get(PROXY).json["files"]) < 1:
        pass
    assert client.send("GET", f"{PROXY}/half.bin").body == b"before"


UPLOADS = "/api/2.0/penstock/uploads"


def _told(content: bytes, **more: int) -> str:
    return urlencode({"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content), **more})


def test_an_upload_goes_on_where_it_broke_off(client: Client) -> None:
    content = bytes(range(256)) * 40
    place = f"{UPLOADS}/deep/parts.bin"
    assert client.get(f"{place}?{_told(content)}").json == {"received_bytes": 0}
    for start, end in ((0, 3000), (3000, 9000)):
        assert client.send("PUT", f"{place}?{_told(content, offset_bytes=start)}", content[start:end]).status == 200
        assert client.get(f"{place}?{_told(content)}").json == {"received_bytes": end}
        assert client.send("GET", f"{PROXY}/deep/parts.bin").status == 404
        assert client.get(f"{PROXY}?path=deep").json == {}
    wrong = client.send("PUT", f"{place}?{_told(content, offset_bytes=5)}", content[5:])
    assert (wrong.status, wrong.code) == (409, "ABORTED")
    client.close()
    assert client.send("PUT", f"{place}?{_told(content, offset_bytes=9000)}", content[9000:]).status == 200
    got = client.send("GET", f"{PROXY}/deep/parts.bin")
    assert got.body == content
    assert client.get(f"{place}?{_told(content)}").json == {"received_bytes": 0}


def test_an_upload_that_is_not_what_was_announced_is_forgotten(client: Client) -> None:
    place = f"{UPLOADS}/parts2.bin"
    assert client.send("PUT", f"{place}?{_told(b'announced', offset_bytes=0)}", b"announceX").status == 422
    client.close()
    assert client.send("GET", f"{PROXY}/parts2.bin").status == 404
    assert client.get(f"{place}?{_told(b'announced')}").json == {"received_bytes": 0}
    for query in ("sha256=x&size_bytes=3", "size_bytes=3", f"sha256={'a' * 64}"):
        assert client.get(f"{place}?{query}").code == "INVALID_PARAMETER_VALUE"
    assert client.get(f"{UPLOADS}/..%2fx?{_told(b'a')}").status == 400


def test_a_client_sends_only_what_the_server_lacks(port: int, tmp_path: Path) -> None:
    size, cut = RESUMED_BYTES + 5, RESUMED_BYTES // 2
    local = tmp_path / "large.bin"
    local.write_bytes(os.urandom(1 << 20) * (size >> 20) + b"01234")
    with free_port() as gate:
        pass
    with forwarding(gate, f"http://127.0.0.1:{port}", cut_after=cut) as passed:
        repository = open_artifacts("mlflow-artifacts:/resumed", tracking_uri=f"http://127.0.0.1:{gate}")
        repository.upload(local, "large.bin")
    whole = Path(open_artifacts("mlflow-artifacts:/resumed", tracking_uri=f"http://127.0.0.1:{port}").download(
        "large.bin", tmp_path / "got.bin"
    ))  # fmt: skip
    assert whole.read_bytes() == local.read_bytes()
    assert cut < sum(passed) < size + (6 << 20)  # what was in flight at the cut is sent twice, the rest once


@pytest.fixture
def without_proxy(tmp_path: Path) -> Iterator[Client]:
    with running(options_in(tmp_path, serve_artifacts=False)) as port:
        client = Client(port)
        yield client
        client.close()


def test_without_the_proxy_its_routes_say_so_and_runs_lie_in_the_folder(without_proxy: Client, tmp_path: Path) -> None:
    assert without_proxy.send("GET", f"{PROXY}/x").status == 503
    run_id = without_proxy.make_run()
    uri = without_proxy.get("runs/get", run_id=run_id).json["run"]["info"]["artifact_uri"]
    folder = Path(uri)
    assert folder.is_relative_to(tmp_path)
    folder.mkdir(parents=True)
    (folder / "x.txt").write_text("hello")
    assert without_proxy.get("/get-artifact", run_id=run_id, path="x.txt").body == b"hello"
