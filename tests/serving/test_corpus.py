"""Malformed payloads on every route: never a 500, never a hang, never growth; the next good request is answered."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator

import pytest

from serving.served import DEADLINE_S, NAMES, ROW, Served

GOOD = json.dumps({"inputs": [ROW]}).encode()
SPLIT = json.dumps({"dataframe_split": {"columns": NAMES, "data": [ROW]}}).encode()
V2 = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}]}).encode()
CSV = (",".join(NAMES) + "\n6,3,5,2\n").encode()
ROUTES = ["/invocations", "/score", "/v1/models/iris:predict", "/v2/models/iris/infer", "/ping", "/metrics", "/none"]
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


@pytest.mark.parametrize("route", ROUTES)
def test_no_payload_breaks_a_route(iris: Served, route: str) -> None:
    client = http.client.HTTPConnection("127.0.0.1", iris.port, timeout=DEADLINE_S)
    before = memory(iris)
    for number, body in enumerate(CORPUS, start=ROUTES.index(route)):  # each route pairs bodies and types otherwise
        content_type = TYPES[number % 4 if number % 3 else number % len(TYPES)]
        headers = {} if content_type is None else {"content-type": content_type}
        if number % 17 == 0:
            headers["content-encoding"] = "gzip"
        try:
            client.request("POST", route, body, headers)
            response = client.getresponse()
            answer = response.read()
        except (ConnectionError, http.client.HTTPException):
            client.close()  # refused before the body was sent: the next request opens a new connection
            continue
        assert response.status < 500, (body[:200], content_type, answer)
        if response.status >= 400:
            assert json.loads(answer)["message"], body[:200]
    client.close()
    assert iris.invoke(GOOD).json == {"predictions": [2]}
    assert memory(iris) - before < 64 << 20


def memory(served: Served) -> float:
    text = served.call("GET", "/metrics").body.decode()
    return float(next(each.split()[1] for each in text.splitlines() if each.startswith("process_resident_memory")))


def test_the_good_bodies_of_the_corpus_are_good(iris: Served) -> None:
    assert iris.invoke(SPLIT).json == {"predictions": [2]}
    assert iris.invoke(CSV, "text/csv").json == {"predictions": [2]}
    assert iris.call("POST", "/v2/models/iris/infer", V2).json["outputs"][0]["data"] == [2]
