"""Whether a model may be asked for many requests at once: only if each answer is then what it would be alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.ground.errors import PenstockError
from penstock.models.load import LoadedModel
from penstock.models.schema import DataType, Schema
from penstock.serving.payload import Payload
from penstock.serving.predictor import Predictor
from penstock.serving.rows import identical, joined, split

SAMPLE_ROWS = 8
SIZES = (2, 3, 5, 8, 33)  # matrix libraries choose their kernels by size, so several are tried
_SEED = 20_260


def batching_refused(predictor: Predictor) -> str | None:
    """Why requests are not batched, or None when they may be.

    The sample's rows are predicted alone and together, in several sizes, and compared bit for bit. A model that is
    random, that scales by its batch, or whose answer is not one entry a row is found out here.
    """
    try:
        sample = _sample(predictor.model)
        if sample is None:
            return "there is neither an input example nor a signature of numbers to try it with"
        return _compared(predictor, *sample)
    except PenstockError as error:
        return f"the sample rows are not answered: {error}"


def _compared(predictor: Predictor, rows: list[Any], names: tuple[Any, ...] | None) -> str | None:
    lone = [predictor.predict(Payload([row], names)) for row in rows]
    sizes = [size for size in SIZES if size <= predictor.most_rows_together]
    if not sizes:
        return "its compiled form is only for single rows"
    for size in sizes:
        chosen = [at % len(rows) for at in range(size)]
        together = predictor.predict(Payload(joined([[rows[at]] for at in chosen]), names))
        parts = split(together, [1] * size)
        if parts is None:
            return "its answer has not one entry a row"
        if not all(identical(part, lone[at]) for part, at in zip(parts, chosen, strict=True)):
            return f"a row's answer among {size} differs from its lone answer"
    return None


def _sample(model: LoadedModel) -> tuple[list[Any], tuple[Any, ...] | None] | None:
    """Rows to try: the input example's and others near them, else rows of random numbers."""
    example = model.folder.input_example()
    if example is not None and example.params is None and example.kind in ("dataframe", "ndarray"):
        rows = example.rows() if not isinstance(example.content, dict) or example.kind == "dataframe" else []
        if rows and isinstance(rows[0], list):
            return _varied(rows[:SAMPLE_ROWS]), example.columns()
    inputs = model.inputs
    return None if inputs is None else _invented(inputs)


def _varied(rows: list[Any]) -> list[Any]:
    """The rows, filled up with copies whose real numbers are moved a little."""
    generator = np.random.default_rng(_SEED)
    varied = list(rows)
    while len(varied) < SAMPLE_ROWS:
        varied.append(_moved(rows[len(varied) % len(rows)], generator))
    return varied


def _moved(value: Any, generator: np.random.Generator) -> Any:
    if isinstance(value, list):
        return [_moved(each, generator) for each in value]
    return value * float(generator.uniform(0.5, 1.5)) if isinstance(value, float) else value


def _invented(inputs: Schema) -> tuple[list[Any], tuple[Any, ...] | None] | None:
    generator = np.random.default_rng(_SEED)
    if inputs.columns:
        if not all(column.type in (DataType.FLOAT, DataType.DOUBLE) for column in inputs.columns):
            return None
        return generator.normal(size=(SAMPLE_ROWS, len(inputs.columns))).tolist(), None
    tensor = inputs.tensors[0]
    shape = tensor.shape
    if (
        len(inputs.tensors) > 1
        or not shape
        or shape[0] != -1
        or -1 in shape[1:]
        or not tensor.dtype.startswith("float")
    ):
        return None
    return generator.normal(size=(SAMPLE_ROWS, *shape[1:])).tolist(), None
