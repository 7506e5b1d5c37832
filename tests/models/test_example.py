from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from penstock.ground.errors import InvalidInput
from penstock.models.example import EXAMPLE, SERVING_EXAMPLE, read_example, write_example


@pytest.mark.parametrize(
    ("data", "kind", "payload"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), "dataframe",
         {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}}),
        (pd.DataFrame([[1.5, 2.5]]), "dataframe", {"dataframe_split": {"data": [[1.5, 2.5]]}}),
        (np.array([[1.0, np.nan]]), "ndarray", {"inputs": [[1.0, None]]}),
        ({"x": np.array([1, 2])}, "ndarray", {"inputs": {"x": [1, 2]}}),
        (csr_matrix(np.array([[0.0, 2.0]])), "sparse_matrix_csr", {"inputs": [[0.0, 2.0]]}),
        (["a", "b"], "json_object", {"inputs": ["a", "b"]}),
        ({"q": "text", "n": [1]}, "json_object", {"inputs": {"q": "text", "n": [1]}}),
        ([{"b": b"x"}], "json_object", {"inputs": [{"b": "eA=="}]}),
        (pd.DataFrame({"t": pd.to_datetime(["2020-01-02"])}), "dataframe",
         {"dataframe_split": {"columns": ["t"], "data": [["2020-01-02T00:00:00"]]}}),
    ],
)  # fmt: skip
def test_an_example_is_kept_for_people_and_for_servers(tmp_path: Path, data: Any, kind: str, payload: Any) -> None:
    info = write_example(data, tmp_path)
    assert info["type"] == kind
    assert json.loads((tmp_path / SERVING_EXAMPLE).read_text()) == payload
    example = read_example(tmp_path / EXAMPLE, info)
    assert example.kind == kind
    if not kind.startswith("sparse"):
        assert json.loads(json.dumps(example.payload())) == payload


def test_params_travel_with_the_data(tmp_path: Path) -> None:
    info = write_example((np.array([[1.0]]), {"n": 2}), tmp_path)
    assert json.loads((tmp_path / EXAMPLE).read_text()) == {"inputs": [[1.0]], "params": {"n": 2}}
    example = read_example(tmp_path / EXAMPLE, info)
    assert example.params == {"n": 2}
    assert example.payload() == {"inputs": [[1.0]], "params": {"n": 2}}
    np.testing.assert_array_equal(example.data(), [[1.0]])


def test_what_is_no_example_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot mix arrays"):
        write_example({"a": np.zeros(1), "b": 1}, tmp_path)
    with pytest.raises(InvalidInput, match="type object cannot be kept"):
        write_example(object(), tmp_path)
