"""Malformed payloads on every route: never a 500, never a hang, never growth; the next good request is answered."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.served import DEADLINE_S, NAMES, ROW, Served

GOOD = json.dumps({"inputs": [ROW]}).encode()
SPLIT = json.dumps({"dataframe_split": {"columns": NAMES, "data": [ROW]}}).encode()
V2 = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}]}).encode()
CSV = (",".join(NAMES) + "\n6,3,5,2\n").encode()
PREDICT = ["/invocations", "/score", "/v1/models/iris:predict", "/v2/models/iris/infer"]
ROUTES = [*PREDICT, "/v2/models/iris/versions/1/infer", "/ping", "/metrics", "/none"]
SEVERAL = ["/models", "/models/a/invoke", "/models/a", "/invocations"]
TYPES = [
    "application/json", "application/json; format=pandas-split", "application/json; format=pandas-records", "text/csv",
    "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream", "application/x-npy",
    "text/plain", "", ";;;=", "application/json; charset=", None,
]  # fmt: skip
VALUES = ["NaN", "Infinity", "-Infinity", "1e400", "-1e308", "9" * 400, "null", "true", '"x"', "[]", "{}", '"\\ud800"']


def bodies() -> Iterator[bytes]:
    yield from (b"", b" ", b"null", b"true", b"0", b'"x"', b"[]", b"{}", b"\x00", b"\xff\xfe\xfd", b"\xef\xbb\xbf{}")
    for good in (GOOD, SPLIT, V2, CSV):
        yield good
        yield from (good[:at] for at in range(1, len(good), max(1, len(good) // 8)))  # truncated
        yield good.decode().encode("utf-16")
        yield good + b"}"
        yield good.replace(b"[", b"[[[").replace(b"]", b"]]]")  # nested wrongly
        yield good.replace(b"6", b'"six"')
        yield from (good.replace(b"6.0", value.encode()).replace(b"6,", value.encode() + b",") for value in VALUES)
    yield b"[" * 50_000
    yield b'{"inputs":' * 5_000
    yield json.dumps({"inputs": [[0.5] * 10_000]}).encode()
    yield json.dumps({"dataframe_split": {"columns": [str(n) for n in range(10_000)], "data": [[1] * 10_000]}}).encode()
    yield json.dumps({"dataframe_records": [{"a": 1}, {"b": [1, {"c": 2}]}, 3]}).encode()
    yield json.dumps({"dataframe_split": {"columns": [None, {}, [], 1], "data": [ROW]}}).encode()
    yield json.dumps({"inputs": {"": None}, "params": {"x": []}}).encode()
    yield json.dumps({"instances": [{"sepal length (cm)": {"a": 1}}]}).encode()
    yield json.dumps({"inputs": [], "instances": []}).encode()
    yield json.dumps({"inputs": []}).encode()
    yield b'{"inputs": [[1,2,3,4]], "inputs": 5}'
    yield (",".join(str(n) for n in range(10_000)) + "\n").encode() * 2
    yield b'"unclosed\n1,2,3,4'
    yield b"a,b\n" + b"\n" * 1000
    yield gzip.compress(GOOD)


CORPUS = list(bodies())
BOMB = gzip.compress(b" " * (256 << 20), 1)


@pytest.mark.parametrize("route", ROUTES)
def test_no_payload_breaks_a_route(iris: Served, route: str) -> None:
    before = memory(iris)
    send_corpus(iris, route, "POST", ROUTES.index(route))  # each route pairs bodies and types otherwise
    assert iris.invoke(GOOD).json == {"predictions": [2]}
    assert memory(iris) - before < 64 << 20


def test_no_payload_breaks_a_multi_model_endpoint(tricky_folder: Path, serve_folder: Callable[..., Served]) -> None:
    served = serve_folder(None, environment={"SAGEMAKER_MULTI_MODEL": "true"}).wait_ready()
    load = json.dumps({"model_name": "a", "url": str(tricky_folder)})
    assert served.call("POST", "/models", load).status == 200
    before = memory(served)
    for number, route in enumerate(SEVERAL):
        send_corpus(served, route, "POST", number)
    send_corpus(served, "/models/none", "DELETE", 0)
    assert served.call("POST", "/models/a/invoke", '{"inputs": [[1, 2]]}').json == {"predictions": [3]}
    assert memory(served) - before < 64 << 20


def send_corpus(served: Served, route: str, method: str, start: int) -> None:
    """Sends it all; each answer is an answer, and no 500."""
    client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE_S)
    for number, body in enumerate(CORPUS, start=start):
        content_type = TYPES[number % 4 if number % 3 else number % len(TYPES)]
        headers = {} if content_type is None else {"content-type": content_type}
        if number % 17 == 0:
            headers["content-encoding"] = "gzip"
        try:
            client.request(method, route, body, headers)
            response = client.getresponse()
            answer = response.read()
        except (ConnectionError, http.client.HTTPException):
            client.close()  # refused before the body was sent: the next request opens a new connection
            continue
        assert response.status < 500, (body[:200], content_type, answer)
        if response.status >= 400:
            assert json.loads(answer)["message"], body[:200]
    client.close()


@pytest.mark.parametrize("route", ROUTES)
def test_a_gigabyte_that_is_declared_and_never_sent_is_refused_at_once(iris: Served, route: str) -> None:
    head = f"POST {route} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {1 << 30}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", iris.port), timeout=DEADLINE_S) as sock:
        sock.sendall(head.encode())
        status = int(sock.makefile("rb").readline().split()[1])
    assert status == (413 if "/infer" in route or route in PREDICT else 404 if route == "/none" else 405)


@pytest.mark.parametrize("route", PREDICT)
def test_a_gzip_bomb_is_refused_on_every_route_that_predicts(iris: Served, route: str) -> None:
    before = memory(iris)
    assert iris.call("POST", route, BOMB, content_type="application/json", content_encoding="gzip").status == 413
    assert memory(iris) - before < 64 << 20


def test_crowds_of_slow_clients_keep_nobody_from_an_answer(iris: Served) -> None:
    """Each stops somewhere else in its message; what a deadline does to them is in http/test_bad_messages."""
    before = memory(iris)
    slow = []
    for route in ROUTES:
        head = f"POST {route} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode()
        message = head + GOOD
        for at in range(1, len(message), len(message) // 12):
            slow.append(socket.create_connection(("127.0.0.1", iris.port), timeout=DEADLINE_S))
            slow[-1].sendall(message[:at])
    assert iris.invoke(GOOD).json == {"predictions": [2]}
    assert memory(iris) - before < 16 << 20
    for sock in slow:
        sock.close()
    assert iris.invoke(GOOD).json == {"predictions": [2]}


def memory(served: Served) -> float:
    text = served.call("GET", "/metrics").body.decode()
    return float(next(each.split()[1] for each in text.splitlines() if each.startswith("process_resident_memory")))


def test_the_good_bodies_of_the_corpus_are_good(iris: Served) -> None:
    assert iris.invoke(SPLIT).json == {"predictions": [2]}
    assert iris.invoke(CSV, "text/csv").json == {"predictions": [2]}
    assert iris.call("POST", "/v2/models/iris/infer", V2).json["outputs"][0]["data"] == [2]
