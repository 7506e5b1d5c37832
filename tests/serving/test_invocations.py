"""What goes into /invocations and what comes out, in every dialect of JSON and CSV."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from serving.served import NAMES, ROW, Served

SPLIT = {"columns": NAMES, "data": [ROW, [5.1, 3.5, 1.4, 0.2]]}
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in SPLIT["data"]]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": {**SPLIT, "index": [7, 9]}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in SPLIT["data"]]}},
        {"dataframe_split": {"columns": [*NAMES, "more"], "data": [[*row, "x"] for row in SPLIT["data"]]}},
        {"dataframe_records": RECORDS},
        {"instances": SPLIT["data"]},
        {"instances": RECORDS},
        {"inputs": SPLIT["data"]},
        {"inputs": {name: [row[at] for row in SPLIT["data"]] for at, name in enumerate(NAMES)}},
        {"inputs": SPLIT["data"], "params": {}},
    ],
    ids=lambda body: "+".join(body),
)
def test_the_four_forms_give_wrapped_predictions(iris: Served, body: dict[str, Any]) -> None:
    answer = iris.invoke(body)
    assert (answer.status, answer.json) == (200, {"predictions": [2, 0]}), answer
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; format=pandas-split", SPLIT),
        ("application/json;format=pandas-split", SPLIT),
        ("application/json; format=pandas-records", RECORDS),
        ("application/json-numpy-split", SPLIT),
        ("application/json; format=numpy-split", SPLIT),
        ("application/json", SPLIT),
    ],
)
def test_the_old_dialects_get_the_bare_list(iris: Served, content_type: str, body: Any) -> None:
    answer = iris.invoke(body, content_type)
    assert (answer.status, answer.json) == (200, [2, 0]), answer


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", ",".join(NAMES) + "\n6,3,5,2\n5.1,3.5,1.4,0.2\n"),
        ("text/csv; charset=utf-8", ",".join(NAMES) + "\r\n6,3,5,2\r\n5.1,3.5,1.4,0.2"),
        ("text/csv", ",".join(f'"{name}"' for name in NAMES[::-1]) + "\n2,5,3,6\n0.2,1.4,3.5,5.1\n"),
        ("text/csv", "6,3,5,2\n5.1,3.5,1.4,0.2\n"),
        ("text/csv", "6,3,5,2\n\n5.1,3.5,1.4,0.2\n\n"),
        ("text/csv", "+6.,3e0, 5,2\n5.1,3.5,1.4,.2\n"),
        ("text/csv; header=absent", "6,3,5,2\n5.1,3.5,1.4,0.2"),
        ("text/csv", "\ufeff" + ",".join(NAMES) + '\n"6","3","5","2"\n5.1,3.5,1.4,0.2\n'),
    ],
)
def test_csv_with_and_without_a_header(iris: Served, content_type: str, body: str) -> None:
    answer = iris.invoke(body, content_type)
    assert (answer.status, answer.json) == (200, {"predictions": [2, 0]}), answer


@pytest.mark.parametrize("accept", ["text/csv", "application/json;q=0.5, text/csv", "text/csv, */*;q=0.1"])
def test_accept_chooses_csv(iris: Served, accept: str) -> None:
    answer = iris.invoke({"inputs": SPLIT["data"]}, accept=accept)
    assert answer.body == b"2\n0\n"
    assert answer.headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/png", "text/csv;q=0", "nonsense;;q=,"])
def test_whatever_else_is_accepted_gets_json(iris: Served, accept: str) -> None:
    assert iris.invoke({"inputs": [ROW]}, accept=accept).json == {"predictions": [2]}


def test_a_body_without_a_content_type_is_taken_for_json(iris: Served) -> None:
    assert iris.call("POST", "/invocations", json.dumps({"inputs": [ROW]})).json == {"predictions": [2]}


def test_a_gzip_body(iris: Served) -> None:
    body = gzip.compress(json.dumps({"inputs": [ROW]}).encode())
    assert iris.invoke(body, content_encoding="gzip").json == {"predictions": [2]}


def test_missing_values_that_the_model_refuses_are_400_and_named(iris: Served) -> None:
    answer = iris.invoke({"inputs": [ROW, [1, None, 2, 3]]})
    assert answer.status == 400
    assert "NaN" in answer.json["message"]
    assert "Row 1, column 1" in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": [[1, 2, 3, "x"]]}, ["Row 0", "petal width (cm)", "double", "text 'x'"]),
        ({"inputs": [[1, 2, 3, 4], [1, 2, 3]]}, ["Row 1", "3 values, not 4"]),
        ({"inputs": [[1, 2, 3]]}, ["3 columns", "takes 4"]),
        ({"inputs": {"a": [1], "b": [1, 2]}}, ["different lengths", "'a' 1", "'b' 2"]),
        ({"dataframe_split": {"columns": ["sepal lenght (cm)", *NAMES[1:]], "data": [ROW]}}, ["sepal lenght (cm)"]),
        ({"dataframe_split": {"columns": NAMES, "data": [[1]]}}, ["Row 0", "1 values, not 4"]),
        ({"dataframe_split": {"columns": NAMES}}, ["'data'", "null"]),
        ({"dataframe_split": []}, ["'dataframe_split'", "list"]),
        ({"dataframe_records": [1]}, ["Row 0", "number"]),
        ({"dataframe_records": {}}, ["records", "object"]),
        ({"inputs": [ROW], "instances": [ROW]}, ["'instances' and 'inputs'"]),
        ({"data": [ROW]}, ["dataframe_split"]),
        ([ROW], ["list, not an object"]),
        ({"inputs": [ROW], "params": 3}, ["'params'", "number"]),
    ],
)
def test_bad_input_is_400_and_says_what_is_wrong_where(iris: Served, body: Any, words: list[str]) -> None:
    answer = iris.invoke(body)
    assert answer.status == 400, answer
    assert all(word in answer.json["message"] for word in words), answer


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("text/csv", ",".join(NAMES) + "\n1,2,3,x\n", ["Row 0", "petal width (cm)", "text 'x'"]),
        ("text/csv", ",".join(NAMES) + "\n1,2,3\n", ["Row 0", "3 values, not 4"]),
        ("text/csv", "a,b\n1,2\n", ["sepal length (cm)", "'a', 'b'"]),
        ("text/csv", "", ["empty"]),
        ("text/csv", b"\xff\xfe", ["UTF-8"]),
        ("application/json", b"\xff\xfe", ["UTF-8"]),
        ("application/json", b'{"inputs": [[1', ["not JSON", "char"]),
        ("application/json", b"[" * 100_000, ["nested too deeply"]),
    ],
)
def test_bad_text_is_400_and_says_where(iris: Served, content_type: str, body: bytes, words: list[str]) -> None:
    answer = iris.invoke(body, content_type)
    assert answer.status == 400, answer
    assert all(word in answer.json["message"] for word in words), answer


@pytest.mark.parametrize(
    "content_type", ["image/png", "application/json; charset=utf-16", "application/json; format=pandas-table", "x"]
)
def test_an_unknown_format_is_415(iris: Served, content_type: str) -> None:
    assert iris.invoke({"inputs": [ROW]}, content_type).status == 415


def test_an_error_names_its_request(iris: Served) -> None:
    assert iris.invoke({}, x_request_id="mine-7").json["request_id"] == "mine-7"
    made = [iris.invoke({}).json["request_id"] for _ in range(2)]
    assert made[0] != made[1]
    assert len(iris.invoke({}, x_request_id="x" * 500).json["request_id"]) < 100


def test_a_gzip_bomb_is_413_and_broken_gzip_400(iris: Served) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < 100_000
    assert iris.invoke(bomb, content_encoding="gzip").status == 413
    assert iris.invoke(bomb[:1000] + b"x", content_encoding="gzip").status in (400, 413)
    assert iris.invoke(b"{}", content_encoding="gzip").status == 400
    assert iris.invoke(b"{}", content_encoding="br").status == 415


def test_a_body_over_the_limit_is_413(iris: Served) -> None:
    assert iris.invoke(b" " * (26 << 20)).status == 413


def test_other_methods_and_routes(iris: Served) -> None:
    refused = iris.call("GET", "/invocations")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    assert iris.call("GET", "/nothing").status == 404
    assert iris.call("HEAD", "/ping").status == 200
    assert iris.call("GET", "/version").status == 200
