"""Where artifacts lie after a move: local and proxied ones under the new root, remote ones where they were."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec.structs import replace

from penstock.ground.entities import Experiment, LoggedModel, ModelVersion, Run

_MOVED_SCHEMES = ("", "file", "mlflow-artifacts", "http", "https")


class Relocation:
    """Rewrites the URIs in records, and remembers what became of each run's and model's, for the versions' sources."""

    def __init__(self, artifact_root: str) -> None:
        self._root = artifact_root.rstrip("/")
        self._moved: dict[str, tuple[str, str]] = {}

    def is_here(self, uri: str) -> bool:
        """Whether ``uri`` is below the destination's root."""
        return uri.startswith(f"{self._root}/")

    def experiment(self, experiment: Experiment) -> Experiment:
        if not _moves(experiment.artifact_location):
            return experiment
        return replace(experiment, artifact_location=f"{self._root}/{experiment.experiment_id}")

    def run(self, run: Run) -> Run:
        info = run.info
        if not _moves(info.artifact_uri):
            return run
        here = f"{self._root}/{info.experiment_id}/{info.run_id}/artifacts"
        self._moved[info.run_id] = (info.artifact_uri, here)
        return replace(run, info=replace(info, artifact_uri=here))

    def logged_model(self, model: LoggedModel) -> LoggedModel:
        if not _moves(model.artifact_uri):
            return model
        here = f"{self._root}/{model.experiment_id}/models/{model.model_id}/artifacts"
        self._moved[model.model_id] = (model.artifact_uri, here)
        return replace(model, artifact_uri=here)

    def version(self, version: ModelVersion) -> ModelVersion:
        """Its source follows the run's or the logged model's artifacts; models:/ and runs:/ sources stay true."""
        for owner in (version.run_id, version.model_id):
            before, here = self._moved.get(owner or "", ("", ""))
            if before and (version.source == before or version.source.startswith(f"{before}/")):
                return replace(version, source=here + version.source[len(before) :])
        return version


def _moves(uri: str) -> bool:
    return urlsplit(uri).scheme in _MOVED_SCHEMES
