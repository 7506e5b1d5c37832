"""What a search may speak of: for each kind of entity its attributes, its keyed values and its default order."""

from __future__ import annotations

from msgspec import Struct

# The length of the ``head`` columns in migrations/0001_tracking.sql.
INDEXED_CHARS = 64
NUMERIC = ("=", "!=", ">", ">=", "<", "<=")
TEXT = ("=", "!=", "LIKE", "ILIKE")
LISTED = (*TEXT, "IN", "NOT IN")
NULLABLE = (*TEXT, "IS NULL", "IS NOT NULL")

METRIC_PREFIXES = {"metrics": "metric", "metric": "metric"}
PARAM_PREFIXES = {"params": "param", "param": "param", "parameters": "param", "parameter": "param"}
TAG_PREFIXES = {"tags": "tag", "tag": "tag"}
ATTRIBUTE_PREFIXES = {"attributes": "attribute", "attribute": "attribute", "attr": "attribute"}


class Attribute(Struct, frozen=True):
    """A column of the entity itself (``m.`` stands for its table)."""

    column: str
    operators: tuple[str, ...] = TEXT
    numeric: bool = False
    nullable: bool = False


class Keyed(Struct, frozen=True):
    """Values kept by key in a table of their own (``c.`` stands for that table)."""

    table: str
    link: str
    operators: tuple[str, ...]
    numeric: bool = False
    scoped: bool = False
    unique: bool = True


class Vocabulary(Struct, frozen=True, kw_only=True):
    """One kind of entity: where it lies, what may be asked about it, in which order it comes by default."""

    noun: str
    table: str
    columns: tuple[str, ...]
    prefixes: dict[str, str]
    attributes: dict[str, Attribute]
    keyed: dict[str, Keyed] = {}
    datasets: dict[str, str] = {}
    default_order: tuple[str, ...]
    ties: tuple[str, ...]
    ordered_by: tuple[str, ...] = ("attribute",)
    scoped: bool = False
    staged: bool = False
    always: str = ""
    absent_means_different: tuple[str, ...] = ()


def _text(column: str, operators: tuple[str, ...] = TEXT, *, nullable: bool = False) -> Attribute:
    return Attribute(column, operators, nullable=nullable)


def _number(column: str, *, nullable: bool = False) -> Attribute:
    return Attribute(column, NUMERIC, numeric=True, nullable=nullable)


_START = _number("m.start_time_ms")
RUNS = Vocabulary(
    noun="run",
    table="runs",
    columns=(
        "m.run_no", "m.run_id", "m.run_name", "m.experiment_id", "m.user_id", "m.status", "m.start_time_ms",
        "m.end_time_ms", "m.artifact_uri", "m.lifecycle_stage",
    ),
    prefixes={
        **METRIC_PREFIXES, **PARAM_PREFIXES, **TAG_PREFIXES, **ATTRIBUTE_PREFIXES, "run": "attribute",
        "datasets": "dataset", "dataset": "dataset",
    },
    attributes={
        "run_id": _text("m.run_id", LISTED),
        "Run ID": _text("m.run_id", LISTED),
        "run_name": _text("m.run_name"),
        "run name": _text("m.run_name"),
        "Run name": _text("m.run_name"),
        "Run Name": _text("m.run_name"),
        "status": _text("m.status"),
        "user_id": _text("m.user_id"),
        "artifact_uri": _text("m.artifact_uri"),
        "start_time": _START,
        "created": _START,
        "Created": _START,
        "end_time": _number("m.end_time_ms", nullable=True),
    },
    keyed={
        "metric": Keyed("latest_metrics", "c.run_no = m.run_no", NUMERIC, numeric=True, scoped=True),
        "param": Keyed("params", "c.run_no = m.run_no", NULLABLE, scoped=True),
        "tag": Keyed("tags", "c.run_no = m.run_no", NULLABLE, scoped=True),
    },
    datasets={"name": "d.name", "digest": "d.digest", "context": "i.context"},
    default_order=("m.start_time_ms DESC", "m.run_id"),
    ties=("m.start_time_ms DESC", "m.run_id"),
    ordered_by=("attribute", "metric", "param", "tag"),
    scoped=True,
    staged=True,
)  # fmt: skip

EXPERIMENTS = Vocabulary(
    noun="experiment",
    table="experiments",
    columns=(
        "m.experiment_id", "m.name", "m.artifact_location", "m.lifecycle_stage", "m.creation_time_ms",
        "m.last_update_time_ms",
    ),
    prefixes={**TAG_PREFIXES, **ATTRIBUTE_PREFIXES},
    attributes={
        "name": _text("m.name"),
        "experiment_id": _number("m.experiment_id"),
        "creation_time": _number("m.creation_time_ms"),
        "last_update_time": _number("m.last_update_time_ms"),
    },
    keyed={"tag": Keyed("experiment_tags", "c.experiment_id = m.experiment_id", NULLABLE)},
    default_order=("m.creation_time_ms DESC", "m.experiment_id"),
    ties=("m.experiment_id",),
    staged=True,
)  # fmt: skip

_CREATED, _UPDATED = _number("m.creation_time_ms"), _number("m.last_update_time_ms")
REGISTERED_MODELS = Vocabulary(
    noun="registered model",
    table="registered_models",
    columns=("m.name", "m.creation_time_ms", "m.last_update_time_ms", "m.description"),
    prefixes={**TAG_PREFIXES, **ATTRIBUTE_PREFIXES},
    attributes={
        "name": _text("m.name", LISTED),
        "creation_timestamp": _CREATED,
        "last_updated_timestamp": _UPDATED,
        "timestamp": _UPDATED,
    },
    keyed={"tag": Keyed("registered_model_tags", "c.name = m.name", NULLABLE)},
    default_order=("m.name",),
    ties=("m.name",),
    absent_means_different=("mlflow.prompt.is_prompt",),
)

MODEL_VERSIONS = Vocabulary(
    noun="model version",
    table="model_versions",
    columns=(
        "m.name", "m.version", "m.creation_time_ms", "m.last_update_time_ms", "m.source", "m.run_id", "m.run_link",
        "m.model_id", "m.user_id", "m.description", "m.current_stage", "m.status", "m.status_message",
    ),
    prefixes={**TAG_PREFIXES, **ATTRIBUTE_PREFIXES},
    attributes={
        "name": _text("m.name", LISTED),
        "run_id": _text("m.run_id", LISTED, nullable=True),
        "source_path": _text("m.source", LISTED),
        "model_id": _text("m.model_id", LISTED, nullable=True),
        "version_number": _number("m.version"),
        "creation_timestamp": _CREATED,
        "last_updated_timestamp": _UPDATED,
    },
    keyed={"tag": Keyed("model_version_tags", "c.name = m.name AND c.version = m.version", NULLABLE)},
    default_order=("m.last_update_time_ms DESC", "m.name", "m.version DESC"),
    ties=("m.name", "m.version DESC"),
    always="m.is_deleted = 0",
    absent_means_different=("mlflow.prompt.is_prompt",),
)  # fmt: skip

LOGGED_MODELS = Vocabulary(
    noun="logged model",
    table="logged_models",
    columns=(
        "m.model_id", "m.experiment_id", "m.name", "m.artifact_uri", "m.creation_time_ms", "m.last_update_time_ms",
        "m.model_type", "m.source_run_id", "m.status", "m.status_message",
    ),
    prefixes={**METRIC_PREFIXES, **PARAM_PREFIXES, **TAG_PREFIXES, **ATTRIBUTE_PREFIXES},
    attributes={
        "name": _text("m.name", LISTED),
        "model_name": _text("m.name", LISTED),
        "model_id": _text("m.model_id", LISTED),
        "model_type": _text("m.model_type", LISTED, nullable=True),
        "status": _text("m.status", LISTED),
        "source_run_id": _text("m.source_run_id", LISTED, nullable=True),
        "creation_timestamp": _CREATED,
        "creation_timestamp_ms": _CREATED,
        "creation_time": _CREATED,
        "last_updated_timestamp": _UPDATED,
        "last_updated_timestamp_ms": _UPDATED,
        "last_updated_time": _UPDATED,
    },
    keyed={
        "metric": Keyed("logged_model_metrics", "c.model_id = m.model_id", NUMERIC, numeric=True, unique=False),
        "param": Keyed("logged_model_params", "c.model_id = m.model_id", NULLABLE),
        "tag": Keyed("logged_model_tags", "c.model_id = m.model_id", NULLABLE),
    },
    default_order=("m.creation_time_ms DESC", "m.model_id"),
    ties=("m.creation_time_ms DESC", "m.model_id"),
    ordered_by=("attribute", "metric"),
    scoped=True,
    staged=True,
)  # fmt: skip
