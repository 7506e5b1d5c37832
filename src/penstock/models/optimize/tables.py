"""Models of named columns of several types: which columns they use, as what, and the tables to compare on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer

from penstock.ground.errors import NotImplementedHere
from penstock.models.columns import NdArray
from penstock.models.frames import frame_of_rows
from penstock.models.load import LoadedModel
from penstock.models.optimize.column_predictor import graph_name
from penstock.models.optimize.parts import parts
from penstock.models.optimize.probes import LIMIT, SAMPLES
from penstock.models.optimize.prove import Probes
from penstock.models.schema import DataType, Schema

_TYPES = {
    DataType.DOUBLE: DoubleTensorType,
    DataType.FLOAT: DoubleTensorType,
    DataType.LONG: Int64TensorType,
    DataType.INTEGER: Int64TensorType,
    DataType.BOOLEAN: Int64TensorType,
    DataType.STRING: StringTensorType,
}
_UNSEEN = ("", " ", "a value never seen", "ÄÖ☃", "0", "nan")
_EXTREMES = (0.0, -0.0, 1e-300, 1.0, -1.0, 1e6, -1e6, LIMIT, -LIMIT)


def used_columns(estimator: Any, schema: Schema) -> dict[str, DataType]:
    """The columns that the estimator's ColumnTransformer does not drop, with their types.

    Raises NotImplementedHere for an estimator without one, a type that a graph has no tensor for, and free text.
    """
    used = {str(name) for _, names in _branches(estimator) for name in names}
    types = {str(column.name): column.type for column in schema.columns}
    categories = known_categories(estimator)
    for name in sorted(used):
        if types.get(name) not in _TYPES:
            raise NotImplementedHere(f"The column {name!r} is neither number nor text.")
        if types[name] is DataType.STRING and name not in categories:
            raise NotImplementedHere(f"The column {name!r} is text that no encoder turns into categories.")
    return {name: DataType(kind) for name, kind in types.items() if name in used and isinstance(kind, DataType)}


def graph_inputs(estimator: Any, columns: Mapping[str, DataType]) -> list[tuple[str, Any]]:
    """One input of shape (n_rows, 1) for each column; whole numbers stay whole only for an encoder."""
    encoded = {str(name) for transformer, names in _branches(estimator) for name in names if _encodes(transformer)}
    kinds = [_TYPES[kind] for kind in columns.values()]
    as_double = [kind is Int64TensorType and name not in encoded for name, kind in zip(columns, kinds, strict=True)]
    return [
        (graph_name(place), (DoubleTensorType if double else kind)([None, 1]))
        for place, (kind, double) in enumerate(zip(kinds, as_double, strict=True))
    ]


def _encodes(transformer: Any) -> bool:
    return any(hasattr(part, "categories_") for part in parts(transformer))


def with_graph_names(estimator: Any, columns: Sequence[str]) -> Any:
    """A twin of the estimator whose first step asks for its columns by the graph's names for them, dropping none."""
    place = {name: graph_name(at) for at, name in enumerate(columns)}
    first = copy.copy(_first(estimator))
    first.transformers_ = [
        (f"branch{at}", transformer, [place[str(name)] for name in names])
        for at, (transformer, names) in enumerate(_branches(estimator))
        if len(names)
    ]
    if not hasattr(estimator, "steps"):
        return first
    twin = copy.copy(estimator)
    twin.steps = [(estimator.steps[0][0], first), *estimator.steps[1:]]
    return twin


def _first(estimator: Any) -> Any:
    return estimator.steps[0][1] if hasattr(estimator, "steps") else estimator


def _branches(estimator: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Each transformer of the first step with the names of the columns that it gets."""
    first = _first(estimator)
    if not isinstance(first, ColumnTransformer) or not hasattr(first, "feature_names_in_"):
        raise NotImplementedHere("Only pipelines whose first step is a ColumnTransformer are compiled for frames.")
    for name, transformer, _ in first.transformers_:
        if not isinstance(transformer, str) or transformer != "drop":
            yield transformer, first.feature_names_in_[first._transformer_to_input_indices[name]]


def known_categories(estimator: Any) -> dict[str, tuple[str, ...]]:
    """The text categories of each column that an encoder was trained on."""
    found: dict[str, tuple[str, ...]] = {}
    for transformer, names in _branches(estimator):
        for part in parts(transformer):
            kept = getattr(part, "categories_", ())
            if len(kept) == len(names):
                found.update(
                    {str(n): tuple(c for c in k if isinstance(c, str)) for n, k in zip(names, kept, strict=True)}
                )
    return {name: categories for name, categories in found.items() if categories}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def table_probes(model: LoadedModel, estimator: Any, real: Any, *, seed: int = 7) -> Probes:
    """Tables to compare on: real rows, samples around them and of the encoders' categories, and the edges."""
    random = np.random.default_rng(seed)
    kinds = used_columns(estimator, model.inputs)  # type: ignore[arg-type]
    categories = known_categories(estimator)
    drawn = {name: _drawn(kind, real[name], categories.get(name, ()), _spread(estimator, name), random)
             for name, kind in kinds.items()}  # fmt: skip
    sampled = _filled(real, drawn)
    return Probes(
        usual=_joined(real, sampled, _extreme_rows(sampled, kinds)),
        missing=_with_missing(sampled, kinds, random),
        unseen=_with_unseen(sampled, kinds, random),
    )


def real_table(model: LoadedModel, rows: Any) -> Any:
    """The given rows, or the input example, as the frame of the signature, without rows that lack a value."""
    if model.inputs is None or not model.inputs.has_names or not hasattr(model.predictor, "method"):
        raise NotImplementedHere("Only estimators that take numbers by order, or named columns, are compiled.")
    if rows is None:
        example = model.folder.input_example()
        if example is None:
            raise NotImplementedHere("There is neither an input example nor other rows to compare on.")
        rows = frame_of_rows(model.inputs, example.rows(), example.columns())
    table = model._checked(rows).dropna()
    if not len(table):
        raise NotImplementedHere("There is no row without missing values to compare on.")
    return table.reset_index(drop=True)


def _drawn(kind: DataType, real: Any, categories: Sequence[str], spread: tuple[float, float], random: Any) -> Any:
    """SAMPLES values of one column."""
    if kind is DataType.STRING:
        return random.choice(np.array(sorted({*categories, *real}), object), SAMPLES)
    if kind is DataType.BOOLEAN:
        return random.random(SAMPLES) < 0.5
    low, high = min(spread[0], float(real.min())), max(spread[1], float(real.max()))
    span = high - low if high > low else max(abs(high), 1.0)
    values = random.uniform(low - 0.25 * span, high + 0.25 * span, SAMPLES)
    values[::2] = np.round(values[::2], 1)
    return values.astype(kind.numpy)


def _spread(estimator: Any, column: str) -> tuple[float, float]:
    """The usual range of a column as a scaler remembers it; empty (inf, -inf) where none does."""
    for transformer, names in _branches(estimator):
        for part in parts(transformer):
            mean, scale = (np.asarray(getattr(part, name, ()), dtype=object) for name in ("mean_", "scale_"))
            if column in names and mean.shape == scale.shape == (len(names),) and None not in (*mean, *scale):
                at = list(names).index(column)
                return float(mean[at] - 4 * scale[at]), float(mean[at] + 4 * scale[at])
    return np.inf, -np.inf


def _filled(real: Any, columns: Mapping[str, NdArray]) -> Any:
    """A frame like ``real`` with SAMPLES rows; the columns that are not used keep real values."""
    frame = real.iloc[np.arange(SAMPLES) % len(real)].reset_index(drop=True)
    return frame.assign(**{name: type(real[name])(values, dtype=real[name].dtype) for name, values in columns.items()})


def _joined(*frames: Any) -> Any:
    first = frames[0]
    joined = {name: np.concatenate([each[name].to_numpy() for each in frames]) for name in first.columns}
    return type(first)({n: type(first[n])(v, dtype=first[n].dtype) for n, v in joined.items()})


def _extreme_rows(sampled: Any, kinds: Mapping[str, DataType]) -> Any:
    doubles = [name for name, kind in kinds.items() if kind in (DataType.DOUBLE, DataType.FLOAT)]
    return _one_by_one(sampled, doubles, _EXTREMES)


def _with_missing(sampled: Any, kinds: Mapping[str, DataType], random: Any) -> Any:
    doubles = [name for name, kind in kinds.items() if kind in (DataType.DOUBLE, DataType.FLOAT)]
    frame = sampled.iloc[: SAMPLES // 4].copy()
    for name in doubles:
        frame[name] = frame[name].mask(random.random(len(frame)) < 0.3)
    return frame if doubles else None


def _with_unseen(sampled: Any, kinds: Mapping[str, DataType], random: Any) -> Any:
    texts = [name for name, kind in kinds.items() if kind is DataType.STRING]
    return _one_by_one(sampled, texts, _UNSEEN) if texts else None


def _one_by_one(sampled: Any, names: Sequence[str], values: Sequence[Any]) -> Any:
    """Rows with one column's value replaced by each of ``values`` in turn."""
    frame = sampled.iloc[: len(names) * len(values)].copy()
    for place, (name, value) in enumerate((name, value) for name in names for value in values):
        if place < len(frame):
            frame.loc[place, name] = value
    return frame
