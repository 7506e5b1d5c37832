from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from penstock.ground.errors import InvalidInput
from penstock.models.columns import array_of_rows, checked_array
from penstock.models.frames import checked_frame, frame_of_rows
from penstock.models.parameters import checked_params
from penstock.models.schema import Array, Column, DataType, Object, Property, Schema, Tensor
from penstock.models.signature import infer_signature
from penstock.models.tensors import checked_tensors

NUMBERS = Schema.of([Column(DataType.DOUBLE, "petal_length"), Column(DataType.LONG, "count")])
ALL = Schema.of(
    [
        Column(DataType.BOOLEAN, "flag"),
        Column(DataType.INTEGER, "small"),
        Column(DataType.FLOAT, "single"),
        Column(DataType.STRING, "text"),
        Column(DataType.BINARY, "bytes"),
        Column(DataType.DATETIME, "when"),
        Column(Array(DataType.LONG), "list"),
        Column(Object((Property("k", DataType.DOUBLE),)), "object"),
    ]
)
ROW = [True, 3, 1.5, "a", "eA==", "2020-01-02T03:04:05", [1, 2], {"k": 1}]


def test_rows_become_one_array_in_the_schemas_order() -> None:
    array = array_of_rows(NUMBERS, [[1, 2.5], [3, None]], ["count", "petal_length"])
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [[2.5, 1], [np.nan, 3]])


def test_rows_become_a_frame_of_the_schemas_types() -> None:
    frame = frame_of_rows(ALL, [ROW], list(ALL.names))
    assert [str(dtype) for dtype in frame.dtypes] == [
        "bool", "int32", "float32", "object", "object", "datetime64[ns]", "object", "object",
    ]  # fmt: skip
    assert frame["bytes"][0] == b"x"
    assert frame["when"][0] == pd.Timestamp("2020-01-02T03:04:05")


@pytest.mark.parametrize(
    ("row", "names", "message"),
    [
        ([1.0], ["petal_lenght"], r"lacks the columns 'petal_length' \(double\) Near matches: petal_lenght; 'count'"),
        ([1.0, "x"], ["petal_length", "count"], "Row 0, column 'count': expected long, got text 'x'"),
        ([1.0, 1.5], ["petal_length", "count"], "Row 0, column 'count': expected long, got number 1.5"),
        ([1.0, None], ["petal_length", "count"], "expected long, got null. Whole numbers have no missing value"),
        ([1.0, 2**63], ["petal_length", "count"], "expected long, got number 9223372036854775808"),
        (["1.0", 1], ["petal_length", "count"], "column 'petal_length': expected double, got text '1.0'"),
        ([[1.0], 1], ["petal_length", "count"], "expected double, got list"),
        ([1.0], None, "has 1 columns; the model takes 2"),
        ("ab", ["petal_length", "count"], "Row 0 is text 'ab', not a list"),
    ],
)
def test_a_bad_row_is_named_by_row_column_and_types(row: Any, names: list[str] | None, message: str) -> None:
    for build in (array_of_rows, frame_of_rows):
        with pytest.raises(InvalidInput, match=message):
            build(NUMBERS, [row], names)


def test_ragged_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Row 1 has 3 values, not 2"):
        array_of_rows(NUMBERS, [[1.0, 2], [1.0, 2, 3]])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "yes"), (0, 2), (1, 2**31), (2, "1"), (3, 5), (4, "not base64!"), (5, "yesterday"), (5, 5), (6, [1.5]),
        (7, {}), (7, {"k": 1, "z": 2}),
    ],
)  # fmt: skip
def test_every_type_refuses_what_it_is_not(place: int, value: Any) -> None:
    row = [*ROW[:place], value, *ROW[place + 1 :]]
    with pytest.raises(InvalidInput, match=f"column '{ALL.names[place]}'"):
        frame_of_rows(ALL, [row], list(ALL.names))


def test_frames_are_ordered_and_converted_only_without_loss() -> None:
    frame = pd.DataFrame({"extra": [0], "count": np.array([1], np.int32), "petal_length": [2]}, index=[7])
    checked = checked_frame(NUMBERS, frame)
    assert list(checked.columns) == ["petal_length", "count"]
    assert [str(dtype) for dtype in checked.dtypes] == ["float64", "int64"]
    assert list(checked.index) == [7]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"petal_length": [1.0], "count": [1.0]}, "Column 'count': expected long, got float64. Convert"),
        ({"petal_length": [1.0, 2.0], "count": [1.0, None]}, "Missing values make whole numbers float"),
        ({"petal_length": ["a"], "count": [1]}, "Column 'petal_length': expected double, got (str|object)"),
        ({"petal_length": [2**53 + 1], "count": [1]}, "Column 'petal_length': expected double, got int64"),
        ({"petal_length": [1.0]}, "lacks the column 'count'"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(frame: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        checked_frame(NUMBERS, pd.DataFrame(frame))


@pytest.mark.parametrize(
    "data",
    [
        {"petal_length": [1.0], "count": [2]},
        {"petal_length": 1.0, "count": 2},
        [{"petal_length": 1.0, "count": 2}],
        pd.Series({"petal_length": 1.0, "count": 2}, dtype=object),
    ],
)
def test_dicts_lists_and_series_become_frames(data: Any) -> None:
    assert checked_frame(NUMBERS, data).to_dict("records") == [{"petal_length": 1.0, "count": 2}]


def test_arrays_for_columns_keep_to_lossless_conversions() -> None:
    doubles = Schema.of([Column(DataType.DOUBLE, "x"), Column(DataType.DOUBLE, "y")])
    assert checked_array(doubles, np.array([[1, 2]])).dtype == np.float64
    with pytest.raises(InvalidInput, match="shape"):
        checked_array(doubles, np.zeros(3))
    with pytest.raises(InvalidInput, match="Column 'count': expected long, got float64"):
        checked_array(NUMBERS, np.zeros((1, 2)))


def test_tensors_are_checked_by_name_type_and_shape() -> None:
    named = Schema.of([Tensor("float32", (-1, 2), "image"), Tensor("int64", (-1,), "label")])
    checked = checked_tensors(named, {"image": [[1, 2.5]], "label": np.array([3], np.int32)})
    assert (checked["image"].dtype, checked["label"].dtype) == (np.float32, np.int64)
    with pytest.raises(InvalidInput, match=r"lacks the array 'image'\. Near matches: imagee"):
        checked_tensors(named, {"imagee": [[1, 2]], "label": [1]})
    with pytest.raises(InvalidInput, match=r"'image': expected float32 of shape \(-1, 2\), got shape \(1, 3\)"):
        checked_tensors(named, {"image": [[1, 2, 3]], "label": [1]})
    with pytest.raises(InvalidInput, match="'label': expected int64"):
        checked_tensors(named, {"image": [[1, 2]], "label": ["a"]})
    with pytest.raises(InvalidInput, match="several lengths"):
        checked_tensors(Schema.of([Tensor("float64", (-1, 2))]), [[1, 2], [3]])


def test_missing_numbers_in_a_tensor_are_nan() -> None:
    array = checked_tensors(Schema.of([Tensor("float64", (-1, 2))]), [[1, None]])
    np.testing.assert_array_equal(array, [[1.0, np.nan]])


def test_params_are_filled_converted_and_refused() -> None:
    schema = infer_signature(np.zeros((1, 1)), None, {"t": 0.5, "n": 3, "l": [1, 2], "b": True}).params
    assert checked_params(schema, {"t": 1}) == {"t": 1.0, "n": 3, "l": [1, 2], "b": True}
    with pytest.raises(InvalidInput, match=r"'n': expected long, got 1\.5"):
        checked_params(schema, {"n": 1.5})
    with pytest.raises(InvalidInput, match="'b': expected boolean, got 1"):
        checked_params(schema, {"b": 1})
    with pytest.raises(InvalidInput, match="flat list"):
        checked_params(schema, {"l": 3})
    with pytest.warns(UserWarning, match="Near matches: t"):
        assert checked_params(schema, {"tt": 3}) == {"t": 0.5, "n": 3, "l": [1, 2], "b": True}
