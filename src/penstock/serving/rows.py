"""Rows of several requests in one table, and the predictions of that table handed back to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from penstock.models.inference import is_frame, is_series


def joined(tables: Sequence[Any]) -> Any:
    """The tables, all lists or all arrays, one under the other."""
    if isinstance(tables[0], np.ndarray):
        return np.concatenate(tables)
    return list(chain.from_iterable(tables))


def split(predictions: Any, counts: Sequence[int]) -> list[Any] | None:
    """The part of each request, given its number of rows; None when the answer is not one entry a row."""
    if isinstance(predictions, Mapping):
        parts = {name: split(values, counts) for name, values in predictions.items()}
        if not parts or any(part is None for part in parts.values()):
            return None
        return [{name: part[at] for name, part in parts.items() if part} for at in range(len(counts))]
    if not isinstance(predictions, np.ndarray | list) and not is_frame(predictions) and not is_series(predictions):
        return None
    if np.ndim(predictions) == 0 or len(predictions) != sum(counts):
        return None
    by_place = predictions.iloc if hasattr(predictions, "iloc") else predictions
    parts_in_order, start = [], 0
    for count in counts:
        parts_in_order.append(by_place[start : start + count])
        start += count
    return parts_in_order


def identical(left: Any, right: Any) -> bool:
    """Whether two predictions are the same bit for bit: type, shape, names and values, NaN being equal to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        if left.dtype != right.dtype or left.shape != right.shape:
            return False
        if left.dtype.hasobject:
            return bool(left.tolist() == right.tolist())
        return bool(left.tobytes() == right.tobytes())
    if isinstance(left, Mapping):
        return list(left) == list(right) and all(identical(left[name], right[name]) for name in left)
    if is_frame(left):
        return list(left.columns) == list(right.columns) and all(
            identical(left.iloc[:, at], right.iloc[:, at]) for at in range(left.shape[1])
        )
    if is_series(left):
        return bool(left.dtype == right.dtype) and identical(left.to_numpy(), right.to_numpy())
    return bool(left == right)
