"""Payloads to predictions: the loaded model as the server sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.ground.errors import InvalidInput, ModelFailed
from penstock.models.load import LoadedModel
from penstock.models.optimize.column_predictor import ColumnsPredictor
from penstock.models.optimize.predictor import OptimizedPredictor, Original, within
from penstock.models.schema import DataType
from penstock.serving.payload import Payload
from penstock.serving.rows import joined

MANY = 1 << 30


class Predictor:
    """A loaded model that answers payloads. Raises InvalidInput and ModelFailed as LoadedModel does."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        inputs = model.inputs
        self.inputs = inputs
        self._names = inputs.names if inputs is not None else ()
        self._by_text = {str(name): name for name in self._names if not isinstance(name, str)}
        columns = inputs.columns if inputs is not None else ()
        all_double = bool(columns) and all(column.type is DataType.DOUBLE for column in columns)
        self._width = len(columns) if all_double and model.array_dtype == np.float64 else 0
        predictor = model.predictor
        both = predictor if isinstance(predictor, OptimizedPredictor | ColumnsPredictor) else None
        self._verdict = both.verdict if both is not None else None
        self.most_rows_together = self._verdict.max_rows if self._verdict is not None else MANY
        """The most rows of several requests that are still answered by the form that answers each alone."""
        original = both.original if both is not None else None
        self._original = original if isinstance(original, Original) else None
        if self._original is not None:
            self._original.patient = False  # the loop must not wait for a library's import

    def load_original(self) -> None:
        """Loads what a compiled form leaves for later. Raises as ``load_model``."""
        if self._original is not None:
            self._original.load()

    def table(self, tables: Sequence[Any]) -> Any:
        """The rows of several requests in one table: an array where that is what the model takes."""
        together = joined(tables)
        if not self._width or isinstance(together, np.ndarray):
            return together
        array = self._array(together)
        return together if array is None else array

    def may_go_together(self, rows: Any) -> bool:
        """Whether none of these rows would be given to another form of the model than the rest."""
        if self._verdict is None:
            return True
        try:
            array = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return False
        return bool(array.size) and within(array, self._verdict.limit)

    def predict(self, payload: Payload) -> Any:
        """The model's answer, as its library gives it. Raises OriginalNeeded until ``load_original`` was called."""
        try:
            return self._predict(payload)
        except ModelFailed as error:
            place = _not_finite(payload.rows if payload.value is None else payload.value)
            if place is None:
                raise
            # A model that cannot do without a value is not broken: the input is what has to change.
            raise InvalidInput(f"{error} {place} holds no number.", fix="Send finite numbers.") from error

    def _predict(self, payload: Payload) -> Any:
        rows = payload.rows
        if rows is None:
            return self.model.predict(payload.value, payload.params)
        names = payload.names
        if names is not None and self._by_text:
            names = tuple(self._by_text.get(str(name), name) for name in names)
        if self._width and not payload.params and (names is None or names == self._names):
            array = self._array(rows)
            if array is not None:
                return self.model.predict_array(array)
        return self.model.predict_rows(rows, names, payload.params)

    def _array(self, rows: Any) -> Any:
        """The rows as they are, if that is already the array the model takes; else None, and they are checked."""
        try:
            array = np.asarray(rows)
        except ValueError:
            return None
        fits = array.ndim == 2 and array.dtype == np.float64 and array.shape[1] == self._width
        return array if fits else None


def _not_finite(data: Any) -> str | None:
    """Where the first missing or infinite number is, as text; None when there is none or it is no plain table."""
    try:
        array = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    places = np.argwhere(~np.isfinite(array))
    if not len(places):
        return None
    words = ("Row", "column", *["axis"] * array.ndim)
    return ", ".join(f"{word} {at}" for word, at in zip(words, places[0].tolist(), strict=False)) or "The value"
