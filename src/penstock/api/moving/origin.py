"""What moves: records with everything that an entity alone does not say, and the port that gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import Experiment, LoggedModel, Metric, ModelVersion, RegisteredModel, Run


class RunRecord(Struct, frozen=True, kw_only=True):
    """A run, when it was deleted, and where its artifacts really lie (its own URI may be from another machine)."""

    run: Run
    deleted_time_ms: int | None = None
    artifacts_at: str


class LoggedModelRecord(Struct, frozen=True, kw_only=True):
    """A logged model with all its points, and where its files really lie."""

    model: LoggedModel
    is_deleted: bool = False
    artifacts_at: str


class VersionRecord(Struct, frozen=True, kw_only=True):
    """A model version; of a deleted one only the number matters."""

    version: ModelVersion
    is_deleted: bool = False


class Origin(Protocol):
    """A place that things move out of. Nothing of it is changed."""

    @property
    def name(self) -> str: ...

    def experiments(self) -> Iterator[Experiment]:
        """Every experiment, deleted ones too, by id."""

    def runs(self, experiment: Experiment) -> Iterator[RunRecord]:
        """Every run of the experiment, deleted ones too."""

    def points(self, run: Run) -> Iterator[Metric]:
        """Every metric point of the run."""

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModelRecord]: ...

    def registered_models(self) -> Iterator[RegisteredModel]: ...

    def versions(self, model: RegisteredModel) -> Iterator[VersionRecord]: ...

    def artifacts(self, uri: str) -> ArtifactRepository:
        """The artifacts at one of the records' ``artifacts_at``."""

    def close(self) -> None: ...
