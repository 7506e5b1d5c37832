from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from penstock.ground.errors import InvalidInput
from penstock.models.schema import AnyType, Array, Column, DataType, Map, Object, Property, Schema, Tensor
from penstock.models.signature import Signature, infer_signature


def inputs(data: Any) -> Schema:
    found = infer_signature(data).inputs
    assert found is not None
    return found


def test_a_frames_columns_are_inferred_by_type_and_need() -> None:
    frame = pd.DataFrame(
        {
            "b": [True, False],
            "i": np.array([1, 2], np.int32),
            "l": [1, 2],
            "f": np.array([1, 2], np.float32),
            "d": [1.0, None],
            "s": ["a", None],
            "t": pd.to_datetime(["2020-01-01", "2020-01-02"]),
            "y": [b"x", b"y"],
            "a": [[1.0], [2.0, 3.0]],
            "o": [{"k": 1}, {"k": 2, "m": "x"}],
        }
    )
    assert inputs(frame).columns == (
        Column(DataType.BOOLEAN, "b"),
        Column(DataType.INTEGER, "i"),
        Column(DataType.LONG, "l"),
        Column(DataType.FLOAT, "f"),
        Column(DataType.DOUBLE, "d", False),
        Column(DataType.STRING, "s", False),
        Column(DataType.DATETIME, "t"),
        Column(DataType.BINARY, "y"),
        Column(Array(DataType.DOUBLE), "a"),
        Column(Object((Property("k", DataType.LONG), Property("m", DataType.STRING, False))), "o"),
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.zeros((3, 4)), Schema((Tensor("float64", (-1, 4)),))),
        (np.array(["abc"]), Schema((Tensor("str", (-1,)),))),
        (csr_matrix(np.eye(3, dtype=np.float32)), Schema((Tensor("float32", (-1, 3)),))),
        ({"x": np.zeros((2, 2), np.uint8)}, Schema((Tensor("uint8", (-1, 2), "x"),))),
        ({"x": "a", "n": [1, 2]}, Schema((Column(DataType.STRING, "x"), Column(Array(DataType.LONG), "n")))),
        (["a", "b"], Schema((Column(DataType.STRING),))),
        ([], Schema((Column(DataType.STRING),))),
        ([{"x": 1}, {"x": 2, "y": None}], Schema((Column(DataType.LONG, "x"), Column(AnyType(), "y", False)))),
        ("text", Schema((Column(DataType.STRING),))),
        (pd.Series([1.5], name="x"), Schema((Column(DataType.DOUBLE, "x"),))),
    ],
)
def test_other_data(data: Any, expected: Schema) -> None:
    assert inputs(data) == expected


def test_what_cannot_be_described_is_refused() -> None:
    with pytest.raises(InvalidInput, match="several types"):
        infer_signature(pd.DataFrame({"x": [1, "a"]}, dtype=object))
    with pytest.raises(InvalidInput, match="type object cannot be described"):
        infer_signature(object())


def test_params_keep_their_types_and_defaults() -> None:
    params = {"t": 0.5, "n": 3, "l": [1, 2], "s": "x", "b": True, "d": datetime.datetime(2020, 1, 2)}
    signature = infer_signature(np.zeros((1, 1)), None, params)
    text = signature.to_dict()["params"]
    assert text is not None
    assert json.loads(text)[2] == {"name": "l", "default": [1, 2], "shape": [-1], "type": "long"}
    assert json.loads(text)[5] == {"name": "d", "default": "2020-01-02T00:00:00", "shape": None, "type": "datetime"}
    assert Signature.from_dict(signature.to_dict()).params is not None


def test_nested_types_survive_their_text() -> None:
    nested = Object((Property("a", Array(Map(DataType.STRING)), False), Property("b", AnyType())))
    schema = Schema.of([Column(nested, "x", False), Column(Array(DataType.BINARY), "y")])
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "[1]",
        '[{"type": "tensor"}]',
        '[{"type": "complex"}]',
        "[",
        '[{"type":"long","name":"a"},{"type":"long"}]',
    ],
)
def test_a_broken_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Schema.from_json(text)
