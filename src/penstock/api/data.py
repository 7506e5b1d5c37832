"""Datasets as a run's inputs: ``data.from_pandas`` and ``data.from_numpy`` describe one, ``log_input`` links it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from penstock.api import names
from penstock.ground.entities import Dataset, DatasetInput, Tag
from penstock.ground.errors import InvalidInput

_HASHED_BYTES = 64 << 20


def from_pandas(
    df: Any,
    source: str | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> Dataset:
    """A description of the frame: its columns and types, its shape, and a digest of its content."""
    columns = [{"type": str(kind), "name": str(column)} for column, kind in df.dtypes.items()]
    profile = {"num_rows": len(df), "num_elements": int(df.size)}
    content = df.head(_HASHED_BYTES // 1024).to_csv(index=False).encode()
    return _dataset(
        name, digest or _digest(content, profile), source, {"mlflow_colspec": columns}, {**profile, "targets": targets}
    )


def from_numpy(
    features: Any,
    source: str | None = None,
    targets: Any = None,
    name: str | None = None,
    digest: str | None = None,
) -> Dataset:
    """A description of an array (or a dictionary of arrays): types, shapes and a digest of the content."""
    arrays = features if isinstance(features, Mapping) else {"features": features}
    schema = {key: {"dtype": str(array.dtype), "shape": list(array.shape)} for key, array in arrays.items()}
    content = b"".join(array.tobytes()[:_HASHED_BYTES] for array in arrays.values())
    profile = {key: {"shape": list(array.shape), "nbytes": int(array.nbytes)} for key, array in arrays.items()}
    if targets is not None:
        profile["targets"] = {"shape": list(targets.shape), "nbytes": int(targets.nbytes)}
    return _dataset(name, digest or _digest(content, schema), source, {"mlflow_tensorspec": schema}, profile)


def dataset_input(dataset: Any, *, context: str | None = None, tags: Mapping[str, str] | None = None) -> DatasetInput:
    """``dataset`` as an input: one of ours, one of MLflow's, or a frame. Raises InvalidInput for anything else."""
    given = dict(tags or {})
    if context:
        given[names.DATASET_CONTEXT] = context
    described = _described(dataset)
    return DatasetInput(dataset=described, tags=tuple(Tag(key=key, value=str(value)) for key, value in given.items()))


def _described(dataset: Any) -> Dataset:
    if isinstance(dataset, Dataset):
        return dataset
    if hasattr(dataset, "_to_mlflow_entity"):
        entity = dataset._to_mlflow_entity()
        return Dataset(
            name=entity.name,
            digest=entity.digest,
            source_type=entity.source_type,
            source=entity.source,
            schema=entity.schema,
            profile=entity.profile,
        )
    if hasattr(dataset, "dtypes") and hasattr(dataset, "to_csv"):
        return from_pandas(dataset)
    raise InvalidInput(
        f"{type(dataset).__name__} is no dataset.", fix="Describe it first: penstock.data.from_pandas(frame)."
    )


def _dataset(name: str | None, digest: str, source: str | None, schema: Any, profile: Any) -> Dataset:
    return Dataset(
        name=name or "dataset",
        digest=digest,
        source_type="local" if source else "code",
        source=json.dumps({"uri": source} if source else {"tags": {}}),
        schema=json.dumps(schema),
        profile=json.dumps(profile),
    )


def _digest(content: bytes, shape: Any) -> str:
    """Eight hex digits, as MLflow's digests have."""
    return hashlib.sha256(content + json.dumps(shape, sort_keys=True).encode()).hexdigest()[:8]
