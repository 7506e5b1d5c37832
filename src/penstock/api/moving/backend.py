"""An origin that is a store of our own, or a live server: both have the same methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from penstock.api.moving.origin import LoggedModelRecord, RunRecord, VersionRecord
from penstock.api.paging import every
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import (
    Experiment,
    Metric,
    ModelVersion,
    Page,
    RegisteredModel,
    Run,
    ViewType,
)
from penstock.ground.errors import NotFound
from penstock.store.open import Store

T = TypeVar("T")
_PAGE = 1000
_POINTS_PAGE = 25_000


class BackendOrigin:
    """Everything that the store's or the server's API shows; ``destination`` is where a proxy keeps artifacts."""

    def __init__(self, backend: Store, uri: str, *, destination: str | None = None) -> None:
        self._backend = backend
        self._destination = destination
        self._uri = uri

    @property
    def name(self) -> str:
        return self._uri

    def experiments(self) -> Iterator[Experiment]:
        search = self._backend.tracking.search_experiments
        found = _all(lambda size, token: search(view=ViewType.ALL, limit=size, page_token=token))
        return iter(sorted(found, key=lambda each: int(each.experiment_id)))

    def runs(self, experiment: Experiment) -> Iterator[RunRecord]:
        """A search leaves out the models that a run read, so each run is asked for by its id."""
        tracking = self._backend.tracking
        ids = [experiment.experiment_id]
        for run in _all(lambda size, token: tracking.search_runs(ids, view=ViewType.ALL, limit=size, page_token=token)):
            whole = tracking.get_run(run.info.run_id)
            yield RunRecord(run=whole, artifacts_at=run.info.artifact_uri)

    def points(self, run: Run) -> Iterator[Metric]:
        history = self._backend.tracking.metric_history
        for latest in run.data.metrics:
            yield from every(
                lambda size, token, key=latest.key: history(  # type: ignore[misc]
                    run.info.run_id, key, limit=size, page_token=token
                ),
                limit=None,
                page_size=_POINTS_PAGE,
            )

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModelRecord]:
        """The logged models that are not deleted: the API shows no others. A 2.x server knows none."""
        search = self._backend.tracking.search_logged_models
        ids = [experiment.experiment_id]
        try:
            for model in _all(lambda size, token: search(ids, limit=size, page_token=token), page_size=50):
                yield LoggedModelRecord(model=model, artifacts_at=model.artifact_uri)
        except NotFound:
            return

    def registered_models(self) -> Iterator[RegisteredModel]:
        search = self._backend.registry.search_registered_models
        return _all(lambda size, token: search(limit=size, page_token=token), page_size=100)

    def versions(self, model: RegisteredModel) -> Iterator[VersionRecord]:
        search = self._backend.registry.search_model_versions
        quoted = model.name.replace("'", "\\'")
        found: Iterator[ModelVersion] = _all(
            lambda size, token: search(filter=f"name = '{quoted}'", limit=size, page_token=token)
        )
        for version in sorted(found, key=lambda each: each.version):
            yield VersionRecord(version=version)

    def artifacts(self, uri: str) -> ArtifactRepository:
        return open_artifacts(uri, tracking_uri=self._uri, destination=self._destination)

    def close(self) -> None:
        self._backend.close()


def _all(read_page: Callable[[int, str | None], Page[T]], *, page_size: int = _PAGE) -> Iterator[T]:
    return every(read_page, limit=None, page_size=page_size)
