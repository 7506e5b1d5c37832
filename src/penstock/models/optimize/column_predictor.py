"""A predictor with two forms for a model of named columns: its compiled form takes one array a column, no frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from penstock.models.columns import NdArray
from penstock.models.flavors.protocol import Predictor
from penstock.models.inference import is_frame
from penstock.models.optimize.predictor import CompiledAnswer
from penstock.models.optimize.verdict import Verdict


class ColumnsPredictor(Struct, frozen=True):
    """Answers frames up to ``max_rows`` with the compiled form where its rows are of the kind that was compared.

    ``known`` are the categories that were proven, by column; a column that is not in it may hold any text.
    """

    original: Predictor
    compiled: CompiledAnswer
    verdict: Verdict
    known: Mapping[str, frozenset[str]]
    takes_arrays: bool = False

    @property
    def native(self) -> Any:
        return self.original.native

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The answer to a frame; both forms give the same, so only the time tells which was asked."""
        wanted = self.verdict.columns
        if not params and is_frame(data) and set(wanted) <= set(data.columns):
            answer = self.answer_columns({name: data[name].to_numpy() for name in wanted})
            if answer is not None:
                return answer
        return self.original.predict(data, params)

    def answer_columns(self, columns: Mapping[str, Any]) -> Any:
        """The compiled form's answer to lists or arrays of values, or None where only the original may answer."""
        rows = len(next(iter(columns.values())))
        if not 0 < rows <= self.verdict.max_rows:
            return None
        feed = column_feed(columns, self.verdict.columns)
        proven = all(
            self._proven(name, values) for name, values in zip(self.verdict.columns, feed.values(), strict=True)
        )
        return self.compiled(feed) if proven else None

    def _proven(self, name: str, values: NdArray) -> bool:
        if values.dtype.kind == "O":
            known = self.known.get(name)
            return all(type(each) is str and (known is None or each in known) for each in values[:, 0])
        if values.dtype.kind != "f":
            return values.dtype.kind in "biu"
        if self.verdict.finite_only:
            return bool(np.abs(values).max() <= self.verdict.limit)  # false for NaN
        return not bool((np.abs(values) > self.verdict.limit).any())


def column_feed(columns: Any, names: Sequence[str]) -> dict[str, NdArray]:
    """What the graph takes from a frame or a dict of columns: arrays of shape (n_rows, 1), text as objects."""
    return {graph_name(place): _column(columns[name]) for place, name in enumerate(names)}


def graph_name(place: int) -> str:
    """What a graph calls its input for the column at ``place``: columns' own names may hold what a graph's cannot."""
    return f"column{place}"


def _column(values: Any) -> NdArray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        array = np.asarray(values, dtype=object)
    return array.reshape(-1, 1)
