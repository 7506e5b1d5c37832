"""The port that things move into, and the destination that is a store of our own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from penstock.api.moving.backend import BackendOrigin
from penstock.api.moving.origin import LoggedModelRecord, Origin, RunRecord, VersionRecord
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import Experiment, Metric, RegisteredModel, Run
from penstock.ground.errors import NotFound
from penstock.store.intake import Intake
from penstock.store.open import Store, open_store


class Destination(Protocol):
    """A place that things move into. Putting a thing again brings it up to date."""

    @property
    def artifact_root(self) -> str:
        """Where artifacts lie, as ``<experiment>/<run>/artifacts`` and ``<experiment>/models/<model>/artifacts``."""

    def put_experiment(self, experiment: Experiment) -> None: ...

    def find_run(self, run_id: str) -> Run | None: ...

    def put_run(self, record: RunRecord, points: Iterable[Metric]) -> None:
        """Keeps the run, whole or not at all."""

    def put_logged_model(self, record: LoggedModelRecord) -> None: ...

    def put_registered_model(self, model: RegisteredModel) -> None: ...

    def put_version(self, record: VersionRecord) -> None: ...

    def artifacts(self, uri: str) -> ArtifactRepository: ...

    def as_origin(self) -> Origin:
        """The same place, to be read and compared."""

    def close(self) -> None: ...


class StoreDestination:
    """Our store at ``uri``. With an ``artifact_root`` behind a proxy, ``destination`` is where the proxy keeps it."""

    def __init__(self, uri: str, *, artifact_root: str, destination: str | None = None) -> None:
        self._uri = uri
        self._destination = destination
        self._root = artifact_root
        self._store: Store = open_store(uri, artifact_root=artifact_root)
        self._intake = Intake(self._store.tracking)

    @property
    def artifact_root(self) -> str:
        return self._root

    def put_experiment(self, experiment: Experiment) -> None:
        self._intake.put_experiment(experiment)

    def find_run(self, run_id: str) -> Run | None:
        try:
            return self._store.tracking.get_run(run_id)
        except NotFound:
            return None

    def put_run(self, record: RunRecord, points: Iterable[Metric]) -> None:
        self._intake.put_run(record.run, points, deleted_time_ms=record.deleted_time_ms)

    def put_logged_model(self, record: LoggedModelRecord) -> None:
        self._intake.put_logged_model(record.model, is_deleted=record.is_deleted)

    def put_registered_model(self, model: RegisteredModel) -> None:
        self._intake.put_registered_model(model)

    def put_version(self, record: VersionRecord) -> None:
        self._intake.put_version(record.version, is_deleted=record.is_deleted)

    def artifacts(self, uri: str) -> ArtifactRepository:
        return open_artifacts(uri, destination=self._destination)

    def as_origin(self) -> Origin:
        return BackendOrigin(self._store, self._uri, destination=self._destination)

    def close(self) -> None:
        self._store.close()
