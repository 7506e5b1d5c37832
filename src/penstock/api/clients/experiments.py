"""The client's experiments."""

from __future__ import annotations

from typing import Any

from penstock.api.clients.base import ClientPart
from penstock.api.paging import PagedList, viewed
from penstock.api.values import tags_of, view_of
from penstock.api.views import ExperimentView, view_experiment
from penstock.ground.entities import Tag, ViewType


class ExperimentsClient(ClientPart):
    """Create, read, change and search experiments, by MLflow's names and argument order."""

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None
    ) -> str:
        """The new experiment's id. Raises AlreadyExists, also when a deleted experiment has the name."""
        return self._connection.tracking.create_experiment(
            name, artifact_location=artifact_location, tags=tags_of(tags)
        )

    def get_experiment(self, experiment_id: str) -> ExperimentView:
        """The experiment, deleted ones too. Raises NotFound."""
        return view_experiment(self._connection.tracking.get_experiment(str(experiment_id)))

    def get_experiment_by_name(self, name: str) -> ExperimentView | None:
        """The experiment of that name, deleted ones too, or None."""
        found = self._connection.tracking.find_experiment_by_name(name)
        return view_experiment(found) if found else None

    def search_experiments(
        self,
        view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ExperimentView]:
        """One page of the experiments that match, newest first unless ``order_by`` says otherwise."""
        page = self._connection.tracking.search_experiments(
            filter=filter_string or "",
            view=view_of(view_type),
            order_by=order_by or (),
            limit=max_results or 1000,
            page_token=page_token,
        )
        return viewed(page, view_experiment)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Gives an active experiment another name. Raises NotFound, AlreadyExists."""
        self._connection.tracking.rename_experiment(str(experiment_id), new_name)

    def delete_experiment(self, experiment_id: str) -> None:
        """Marks the experiment and its runs as deleted; ``restore_experiment`` brings them back."""
        self._connection.tracking.delete_experiment(str(experiment_id))

    def restore_experiment(self, experiment_id: str) -> None:
        """Brings a deleted experiment and its runs back."""
        self._connection.tracking.restore_experiment(str(experiment_id))

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Sets one tag of an experiment."""
        self._connection.tracking.set_experiment_tag(str(experiment_id), Tag(key=key, value=str(value)))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Removes one tag of an experiment. Raises NotFound."""
        self._connection.tracking.delete_experiment_tag(str(experiment_id), key)
