"""Entities <-> MLflow's JSON. One table describes both ends: the server writes with it, the clients read with it.

A field's place may be dotted (``info.model_id``); 64-bit integers travel as JSON numbers, NaN and the infinities as the
texts "NaN", "Infinity" and "-Infinity", and what is absent or an empty list is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import fields as struct_fields

from penstock.ground.entities import (
    Alias,
    Dataset,
    DatasetInput,
    Experiment,
    FileInfo,
    LifecycleStage,
    LoggedModel,
    LoggedModelStatus,
    Metric,
    ModelInput,
    ModelOutput,
    ModelVersion,
    Param,
    RegisteredModel,
    RegistryChange,
    Run,
    RunData,
    RunInfo,
    RunStatus,
    Tag,
)
from penstock.ground.errors import InvalidInput

T = TypeVar("T", bound=Struct)
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Kind(Struct, frozen=True):
    """How a field's value travels."""

    write: Callable[[Any], object]
    read: Callable[[Any], Any]
    plain: bool = False


class Field(Struct, frozen=True):
    """``place`` is where the field stands in MLflow's JSON, ``name`` what the entity calls it.

    ``also`` is an old name, written beside the new one and read in its absence.
    """

    place: str
    name: str
    kind: Kind
    also: str = ""


def write_double(value: float) -> float | str:
    """The number as JSON can carry it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def read_double(value: object) -> float:
    """The number that JSON carried. Raises ValueError for what is none."""
    if isinstance(value, str):
        return _SPECIAL[value] if value in _SPECIAL else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return float(value)


def read_integer(value: object) -> int:
    """The whole number that JSON carried, as a number or as text. Raises ValueError for what is none."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    if isinstance(value, int | float | str):
        return int(value)
    raise ValueError(value)


def _enum(kind: type[StrEnum]) -> Kind:
    return Kind(lambda value: value.value, kind)


def _one(kind: type[Struct]) -> Kind:
    return Kind(lambda value: to_wire(value), lambda value: from_wire(kind, value))


def _many(kind: type[Struct]) -> Kind:
    return Kind(lambda values: [to_wire(value) for value in values], lambda value: _list(kind, value))


def _list(kind: type[T], values: Any) -> tuple[T, ...]:
    return tuple(from_wire(kind, value) for value in values)


_TEXT = Kind(str, str, plain=True)
_INTEGER = Kind(int, read_integer, plain=True)
_DOUBLE = Kind(write_double, read_double)
_TRUTH = Kind(bool, bool, plain=True)
_NUMBER_AS_TEXT = Kind(str, read_integer)
_TEXTS = Kind(list, tuple)
_TEXT_OR_NONE = Kind(str, lambda value: str(value) or None, plain=True)
_STAGE = _enum(LifecycleStage)

TABLE: dict[type[Struct], tuple[Field, ...]] = {
    Tag: (Field("key", "key", _TEXT), Field("value", "value", _TEXT)),
    Param: (Field("key", "key", _TEXT), Field("value", "value", _TEXT)),
    Metric: (
        Field("key", "key", _TEXT),
        Field("value", "value", _DOUBLE),
        Field("timestamp", "timestamp_ms", _INTEGER),
        Field("step", "step", _INTEGER),
        Field("model_id", "model_id", _TEXT),
        Field("dataset_name", "dataset_name", _TEXT),
        Field("dataset_digest", "dataset_digest", _TEXT),
        Field("run_id", "run_id", _TEXT),
    ),
    Experiment: (
        Field("experiment_id", "experiment_id", _TEXT),
        Field("name", "name", _TEXT),
        Field("artifact_location", "artifact_location", _TEXT),
        Field("lifecycle_stage", "lifecycle_stage", _STAGE),
        Field("creation_time", "creation_time_ms", _INTEGER),
        Field("last_update_time", "last_update_time_ms", _INTEGER),
        Field("tags", "tags", _many(Tag)),
    ),
    RunInfo: (
        Field("run_id", "run_id", _TEXT, also="run_uuid"),
        Field("run_name", "run_name", _TEXT),
        Field("experiment_id", "experiment_id", _TEXT),
        Field("user_id", "user_id", _TEXT),
        Field("status", "status", _enum(RunStatus)),
        Field("start_time", "start_time_ms", _INTEGER),
        Field("end_time", "end_time_ms", _INTEGER),
        Field("artifact_uri", "artifact_uri", _TEXT),
        Field("lifecycle_stage", "lifecycle_stage", _STAGE),
    ),
    RunData: (
        Field("metrics", "metrics", _many(Metric)),
        Field("params", "params", _many(Param)),
        Field("tags", "tags", _many(Tag)),
    ),
    Run: (
        Field("info", "info", _one(RunInfo)),
        Field("data", "data", _one(RunData)),
        Field("inputs.dataset_inputs", "dataset_inputs", _many(DatasetInput)),
        Field("inputs.model_inputs", "model_inputs", _many(ModelInput)),
        Field("outputs.model_outputs", "model_outputs", _many(ModelOutput)),
    ),
    Dataset: tuple(
        Field(name, name, _TEXT) for name in ("name", "digest", "source_type", "source", "schema", "profile")
    ),
    DatasetInput: (Field("tags", "tags", _many(Tag)), Field("dataset", "dataset", _one(Dataset))),
    ModelInput: (Field("model_id", "model_id", _TEXT),),
    ModelOutput: (Field("model_id", "model_id", _TEXT), Field("step", "step", _INTEGER)),
    LoggedModel: (
        Field("info.model_id", "model_id", _TEXT),
        Field("info.experiment_id", "experiment_id", _TEXT),
        Field("info.name", "name", _TEXT),
        Field("info.artifact_uri", "artifact_uri", _TEXT),
        Field("info.creation_timestamp_ms", "creation_time_ms", _INTEGER),
        Field("info.last_updated_timestamp_ms", "last_update_time_ms", _INTEGER),
        Field("info.model_type", "model_type", _TEXT),
        Field("info.source_run_id", "source_run_id", _TEXT),
        Field("info.status", "status", _enum(LoggedModelStatus)),
        Field("info.status_message", "status_message", _TEXT),
        Field("info.tags", "tags", _many(Tag)),
        Field("data.params", "params", _many(Param)),
        Field("data.metrics", "metrics", _many(Metric)),
    ),
    Alias: (Field("alias", "alias", _TEXT), Field("version", "version", _NUMBER_AS_TEXT)),
    ModelVersion: (
        Field("name", "name", _TEXT),
        Field("version", "version", _NUMBER_AS_TEXT),
        Field("creation_timestamp", "creation_time_ms", _INTEGER),
        Field("last_updated_timestamp", "last_update_time_ms", _INTEGER),
        Field("user_id", "user_id", _TEXT),
        Field("current_stage", "current_stage", _TEXT),
        Field("description", "description", _TEXT),
        Field("source", "source", _TEXT),
        Field("run_id", "run_id", _TEXT_OR_NONE),
        Field("run_link", "run_link", _TEXT_OR_NONE),
        Field("model_id", "model_id", _TEXT_OR_NONE),
        Field("status", "status", _TEXT),
        Field("status_message", "status_message", _TEXT),
        Field("tags", "tags", _many(Tag)),
        Field("aliases", "aliases", _TEXTS),
    ),
    RegisteredModel: (
        Field("name", "name", _TEXT),
        Field("creation_timestamp", "creation_time_ms", _INTEGER),
        Field("last_updated_timestamp", "last_update_time_ms", _INTEGER),
        Field("description", "description", _TEXT),
        Field("latest_versions", "latest_versions", _many(ModelVersion)),
        Field("tags", "tags", _many(Tag)),
        Field("aliases", "aliases", _many(Alias)),
    ),
    RegistryChange: (
        Field("name", "name", _TEXT),
        Field("version", "version", _NUMBER_AS_TEXT),
        Field("kind", "kind", _TEXT),
        Field("alias", "alias", _TEXT),
        Field("before", "before", _TEXT),
        Field("after", "after", _TEXT),
        Field("user_id", "user_id", _TEXT),
        Field("timestamp", "timestamp_ms", _INTEGER),
    ),
    FileInfo: (
        Field("path", "path", _TEXT),
        Field("is_dir", "is_dir", _TRUTH),
        Field("file_size", "size_bytes", _INTEGER),
    ),
}

_Step = tuple[str, str, Callable[[Any], Any], Callable[[Any], object] | None, str]


def _plan(table: tuple[Field, ...]) -> tuple[_Step, ...]:
    """For each field: the group it stands in, its key there, how to get, how to convert, its old name."""
    steps = []
    for field in table:
        group, _, key = field.place.rpartition(".")
        steps.append((group, key, attrgetter(field.name), None if field.kind.plain else field.kind.write, field.also))
    return tuple(steps)


_PLANS = {kind: _plan(table) for kind, table in TABLE.items()}
_REQUIRED = {kind: {field.name for field in struct_fields(kind) if field.required} for kind in TABLE}


def to_wire(entity: Struct) -> dict[str, Any]:
    """The entity as MLflow's JSON object."""
    result: dict[str, Any] = {}
    for group, key, get, convert, also in _PLANS[type(entity)]:
        value = get(entity)
        if value is None or value == ():
            continue
        written = value if convert is None else convert(value)
        target = result.setdefault(group, {}) if group else result
        target[key] = written
        if also:
            target[also] = written
    return result


def from_wire(kind: type[T], value: object) -> T:
    """The entity that MLflow's JSON object describes; fields nobody knows are ignored.

    Raises InvalidInput naming the field that is missing or malformed.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"Expected a JSON object for a {kind.__name__}, got {value!r:.100}.")
    found: dict[str, Any] = {}
    for field in TABLE[kind]:
        raw = _at(value, field)
        if raw is not None:
            found[field.name] = _read(kind, field, raw)
    missing = _REQUIRED[kind] - found.keys()
    if missing:
        raise InvalidInput(f"A {kind.__name__} lacks {', '.join(sorted(missing))}.")
    return kind(**found)


def _at(value: Mapping[str, Any], field: Field) -> Any:
    group, _, key = field.place.rpartition(".")
    holder = value.get(group) if group else value
    if not isinstance(holder, Mapping):
        return None
    found = holder.get(key)
    return holder.get(field.also) if found is None and field.also else found


def _read(kind: type[Struct], field: Field, raw: Any) -> Any:
    try:
        return field.kind.read(raw)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"A {kind.__name__} has the malformed {field.place} {raw!r:.100}.") from error
