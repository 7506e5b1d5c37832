"""An origin that is MLflow's own database, of any version whose tables are there: columns are taken as they come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from penstock.api.moving.origin import LoggedModelRecord, RunRecord, VersionRecord
from penstock.api.moving.points import latest_of, logged_model_status
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import (
    Alias,
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    LoggedModel,
    Metric,
    ModelInput,
    ModelOutput,
    ModelVersion,
    Param,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    RunStatus,
    Tag,
)
from penstock.ground.errors import InvalidInput, NotFound

Row = dict[str, Any]
# What MLflow's SQL store writes for the infinities.
_INFINITY = 1.7976931348623157e308
_DELETED_STAGE = "Deleted_Internal"


class DatabaseOrigin:
    """The database at ``uri``; artifacts behind MLflow's proxy lie in ``artifacts_destination``."""

    def __init__(self, uri: str, *, artifacts_destination: str | None = None) -> None:
        self._uri = uri
        self._destination = artifacts_destination
        self._tables = _open_tables(uri)
        if not self._tables.has("alembic_version") or not self._tables.has("experiments"):
            raise InvalidInput(
                f"{uri} is not a database of MLflow's.", fix="Give the URI that mlflow server was given."
            )

    @property
    def name(self) -> str:
        return self._uri.rpartition("@")[2]

    def experiments(self) -> Iterator[Experiment]:
        for row in self._tables.rows("experiments", order="experiment_id"):
            number = row["experiment_id"]
            created = int(row.get("creation_time") or 0)
            yield Experiment(
                experiment_id=str(number),
                name=row["name"],
                artifact_location=row.get("artifact_location") or "",
                lifecycle_stage=LifecycleStage(row.get("lifecycle_stage") or "active"),
                creation_time_ms=created,
                last_update_time_ms=int(row.get("last_update_time") or created),
                tags=_tags(self._tables.rows("experiment_tags", "experiment_id", number)),
            )

    def runs(self, experiment: Experiment) -> Iterator[RunRecord]:
        for row in self._tables.rows("runs", "experiment_id", int(experiment.experiment_id), order="start_time"):
            run = self._run(row)
            yield RunRecord(run=run, deleted_time_ms=row.get("deleted_time"), artifacts_at=run.info.artifact_uri)

    def _run(self, row: Row) -> Run:
        run_id = row["run_uuid"]
        tags = _tags(self._tables.rows("tags", "run_uuid", run_id))
        named = next((tag.value for tag in tags if tag.key == "mlflow.runName"), "")
        info = RunInfo(
            run_id=run_id,
            run_name=row.get("name") or named,
            experiment_id=str(row["experiment_id"]),
            user_id=row.get("user_id") or "",
            status=RunStatus(row.get("status") or "RUNNING"),
            start_time_ms=row.get("start_time"),
            end_time_ms=row.get("end_time"),
            artifact_uri=row.get("artifact_uri") or "",
            lifecycle_stage=LifecycleStage(row.get("lifecycle_stage") or "active"),
        )
        params = sorted(self._tables.rows("params", "run_uuid", run_id), key=lambda each: str(each["key"]))
        data = RunData(
            metrics=self._latest(run_id),
            params=tuple(Param(key=each["key"], value=each["value"] or "") for each in params),
            tags=tags,
        )
        return Run(
            info=info,
            data=data,
            dataset_inputs=tuple(self._datasets(run_id)),
            model_inputs=tuple(
                ModelInput(model_id=link["destination_id"]) for link in self._links(run_id, "MODEL_INPUT")
            ),
            model_outputs=tuple(
                ModelOutput(model_id=link["destination_id"], step=int(link.get("step") or 0))
                for link in self._links(run_id, "MODEL_OUTPUT")
            ),
        )

    def _latest(self, run_id: str) -> tuple[Metric, ...]:
        if self._tables.has("latest_metrics"):
            return latest_of(_point(row) for row in self._tables.rows("latest_metrics", "run_uuid", run_id))
        return latest_of(_point(row) for row in self._tables.rows("metrics", "run_uuid", run_id))

    def _links(self, run_id: str, kind: str) -> Iterator[Row]:
        for link in self._tables.rows("inputs", "source_id", run_id):
            if link["destination_type"] == kind:
                yield link

    def _datasets(self, run_id: str) -> Iterator[DatasetInput]:
        for link in self._tables.rows("inputs", "destination_id", run_id):
            if link["source_type"] != "DATASET":
                continue
            for row in self._tables.rows("datasets", "dataset_uuid", link["source_id"]):
                dataset = Dataset(
                    name=row["name"],
                    digest=row["digest"],
                    source_type=row["dataset_source_type"],
                    source=row["dataset_source"],
                    schema=row.get("dataset_schema"),
                    profile=row.get("dataset_profile"),
                )
                tags = self._tables.rows("input_tags", "input_uuid", link["input_uuid"])
                yield DatasetInput(dataset=dataset, tags=_tags(tags, "name", "value"))

    def points(self, run: Run) -> Iterator[Metric]:
        for row in self._tables.rows("metrics", "run_uuid", run.info.run_id):
            yield _point(row)

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModelRecord]:
        for row in self._tables.rows("logged_models", "experiment_id", int(experiment.experiment_id)):
            model_id = row["model_id"]
            model = LoggedModel(
                model_id=model_id,
                experiment_id=str(row["experiment_id"]),
                name=row["name"],
                artifact_uri=row["artifact_location"],
                creation_time_ms=row["creation_timestamp_ms"],
                last_update_time_ms=row["last_updated_timestamp_ms"],
                model_type=row.get("model_type"),
                source_run_id=row.get("source_run_id"),
                status=logged_model_status(row["status"]),
                status_message=row.get("status_message"),
                tags=_tags(self._tables.rows("logged_model_tags", "model_id", model_id), "tag_key", "tag_value"),
                params=tuple(
                    Param(key=each["param_key"], value=each["param_value"])
                    for each in self._tables.rows("logged_model_params", "model_id", model_id)
                ),
                metrics=tuple(map(_model_point, self._tables.rows("logged_model_metrics", "model_id", model_id))),
            )
            is_deleted = row.get("lifecycle_stage") == "deleted"
            yield LoggedModelRecord(model=model, is_deleted=is_deleted, artifacts_at=model.artifact_uri)

    def registered_models(self) -> Iterator[RegisteredModel]:
        for row in self._tables.rows("registered_models", order="name"):
            aliases = self._tables.rows("registered_model_aliases", "name", row["name"])
            yield RegisteredModel(
                name=row["name"],
                creation_time_ms=int(row.get("creation_time") or 0),
                last_update_time_ms=int(row.get("last_updated_time") or 0),
                description=row.get("description") or "",
                aliases=tuple(Alias(alias=each["alias"], version=int(each["version"])) for each in aliases),
                tags=_tags(self._tables.rows("registered_model_tags", "name", row["name"])),
            )

    def versions(self, model: RegisteredModel) -> Iterator[VersionRecord]:
        tags: dict[int, list[Tag]] = {}
        for tag in self._tables.rows("model_version_tags", "name", model.name):
            tags.setdefault(tag["version"], []).append(Tag(key=tag["key"], value=tag["value"] or ""))
        for row in self._tables.rows("model_versions", "name", model.name, order="version"):
            version = ModelVersion(
                name=row["name"],
                version=int(row["version"]),
                creation_time_ms=int(row.get("creation_time") or 0),
                last_update_time_ms=int(row.get("last_updated_time") or 0),
                source=row.get("source") or "",
                run_id=row.get("run_id") or None,
                run_link=row.get("run_link") or None,
                model_id=row.get("model_id"),
                user_id=row.get("user_id"),
                description=row.get("description") or "",
                current_stage=row.get("current_stage") or "None",
                status=row.get("status") or "READY",
                status_message=row.get("status_message") or None,
                tags=tuple(tags.get(int(row["version"]), ())),
            )
            yield VersionRecord(version=version, is_deleted=version.current_stage == _DELETED_STAGE)

    def artifacts(self, uri: str) -> ArtifactRepository:
        if uri.startswith("mlflow-artifacts:") and self._destination is None:
            raise InvalidInput(
                f"The artifacts {uri} lie behind MLflow's proxy.",
                fix="Say where that server keeps them (--source-artifacts), as its --artifacts-destination says.",
            )
        return open_artifacts(uri, destination=self._destination)

    def close(self) -> None:
        self._tables.close()


def _tags(rows: Iterator[Row], key: str = "key", value: str = "value") -> tuple[Tag, ...]:
    return tuple(sorted((Tag(key=row[key], value=row[value] or "") for row in rows), key=lambda tag: tag.key))


def _number(value: float | None, is_nan: Any) -> float:
    if is_nan or value is None:
        return float("nan")
    return float("inf") if value >= _INFINITY else float("-inf") if value <= -_INFINITY else float(value)


def _point(row: Row) -> Metric:
    return Metric(
        key=row["key"],
        value=_number(row["value"], row.get("is_nan")),
        timestamp_ms=int(row["timestamp"] or 0),
        step=int(row.get("step") or 0),
    )


def _model_point(row: Row) -> Metric:
    return Metric(
        key=row["metric_name"],
        value=_number(row["metric_value"], is_nan=False),
        timestamp_ms=int(row["metric_timestamp_ms"]),
        step=int(row["metric_step"]),
        model_id=row["model_id"],
        run_id=row["run_id"],
        dataset_name=row.get("dataset_name"),
        dataset_digest=row.get("dataset_digest"),
    )


class Tables:
    """A database's tables as dictionaries; table and column names come from this file only."""

    def __init__(
        self, query: Callable[[str, tuple[Any, ...]], Iterator[Row]], mark: str, close: Callable[[], None]
    ) -> None:
        self._query = query
        self._mark = mark
        self.close = close
        self._known: dict[str, bool] = {}

    def has(self, table: str) -> bool:
        """Whether the database has the table."""
        if table not in self._known:
            self._known[table] = self._probe(table)
        return self._known[table]

    def _probe(self, table: str) -> bool:
        where = f"WHERE table_name = {self._mark}"
        source = "information_schema.tables" if self._mark == "%s" else "(SELECT name AS table_name FROM sqlite_master)"
        return next(self._query(f"SELECT 1 AS found FROM {source} {where}", (table,)), None) is not None

    def rows(
        self, table: str, column: str | None = None, value: Any = None, *, order: str | None = None
    ) -> Iterator[Row]:
        """The table's rows, or those that have ``value`` in ``column``; none when there is no such table."""
        if not self.has(table):
            return iter(())
        where, values = (f" WHERE {column} = {self._mark}", (value,)) if column else ("", ())
        return self._query(f"SELECT * FROM {table}{where}{f' ORDER BY {order}' if order else ''}", values)


def _open_tables(uri: str) -> Tables:
    scheme, _, rest = uri.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        return _sqlite_tables(Path(unquote(rest.removeprefix("/").partition("?")[0])).absolute())
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        return _postgres_tables(f"postgresql://{rest}")
    raise InvalidInput(f"{scheme} databases are not read here.", fix="Give sqlite:///path or postgresql://...")


def _sqlite_tables(path: Path) -> Tables:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", fix="Check the path; sqlite:////absolute has four slashes.")
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)

    def query(sql: str, values: tuple[Any, ...]) -> Iterator[Row]:
        cursor = connection.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor)

    try:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InvalidInput(f"{path} is not a SQLite database: {error}.", fix="Check the path.") from error
    return Tables(query, "?", connection.close)


def _postgres_tables(uri: str) -> Tables:
    psycopg = import_module("psycopg")  # an extra, needed by this one kind of origin
    connection = psycopg.connect(uri)
    connection.read_only = True

    def query(sql: str, values: tuple[Any, ...]) -> Iterator[Row]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return iter([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])

    return Tables(query, "%s", connection.close)
