"""A predictor with two forms: the compiled one for the batches and rows it was proven and measured for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from penstock.models.flavors.protocol import Predictor
from penstock.models.optimize.verdict import Verdict


class Session(Protocol):
    """What runs a graph."""

    def outputs_of(self, data: Any) -> list[Any]:
        """The outputs for the one input, or for a dict of inputs, in the graph's order."""


class CompiledAnswer(Struct, frozen=True):
    """Calls a session and gives its one output in the original's type and shape."""

    predictor: Session
    dtype: Any
    n_axes: int

    def __call__(self, rows: Any) -> Any:
        (output,) = self.predictor.outputs_of(rows)
        if output.ndim > self.n_axes:
            output = output.reshape(len(output), *output.shape[2:])
        return output.astype(self.dtype, copy=False)


def within(array: Any, limit: float) -> bool:
    """Whether all numbers are finite and within ``limit``."""
    return bool(np.maximum.reduce(np.abs(array), axis=None) <= limit)  # false for NaN


class OriginalNeeded(Exception):
    """Only the original answers this, it is not loaded yet, and whoever asked does not want to wait for that."""


class Original:
    """The original model, loaded when it is first needed: a compiled form alone starts sooner and takes less memory.

    Where ``patient`` is made False, ``predict`` raises OriginalNeeded instead of loading; ``load`` always loads.
    """

    takes_arrays = True  # where its compiled form takes columns, nobody asks

    def __init__(self, load: Callable[[], Predictor]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Predictor | None = None
        self.patient = True

    def load(self) -> Predictor:
        """The loaded original. Raises as ``load_model``, each time it is tried again."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    @property
    def native(self) -> Any:
        return self.load().native

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The original's answer. Raises OriginalNeeded."""
        loaded = self._loaded
        if loaded is None:
            if not self.patient:
                raise OriginalNeeded
            loaded = self.load()
        return loaded.predict(data, params)


class OptimizedPredictor(Struct, frozen=True):
    """Answers arrays up to ``max_rows`` with the compiled form, everything else with the original."""

    original: Predictor
    compiled: CompiledAnswer
    verdict: Verdict
    takes_arrays: bool = True

    @property
    def native(self) -> Any:
        return self.original.native

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The answer; both forms give the same, so only the time tells which was asked."""
        if params or not isinstance(data, np.ndarray) or len(data) > self.verdict.max_rows or not self._proven(data):
            return self.original.predict(data, params)
        return self.compiled(data)

    def _proven(self, data: Any) -> bool:
        """Whether the values are of the kind that was compared: within the limit, and NaN only if that agreed."""
        if data.ndim != 2 or not data.size:
            return False
        if self.verdict.finite_only:
            return within(data, self.verdict.limit)
        return not bool((np.abs(data) > self.verdict.limit).any())
