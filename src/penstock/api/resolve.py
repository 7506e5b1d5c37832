"""Where a model URI's files are, with near matches when there is no such model."""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from penstock.api.active import client
from penstock.api.connection import connect
from penstock.api.views import LoggedModelView, RegisteredModelView, RunView
from penstock.api.watching import watcher
from penstock.artifacts.local import folder_of
from penstock.artifacts.paths import artifact_path
from penstock.ground.errors import InvalidInput, NotFound
from penstock.ground.names import near

STAGES = ("none", "staging", "production", "archived")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_BARE_ALIAS = re.compile(r"[^/:@\s]+@[^/:@\s]+")


class ResolvedModel(NamedTuple):
    """``artifact_uri`` is where the model's folder lies; the rest is how it was found, as far as the URI tells."""

    artifact_uri: str
    run_id: str | None = None
    model_id: str | None = None
    name: str | None = None
    version: int | None = None


def find_model(uri: str) -> ResolvedModel:
    """The model that ``uri`` means. Raises NotFound with near matches, InvalidInput for a URI of no known form.

    Forms: a folder, ``file:``, ``s3:`` or ``mlflow-artifacts:``; ``runs:/<run id>/<path>``; ``models:/<model id>``,
    ``models:/<name>/<version, stage or latest>``, ``models:/<name>@<alias>``, and ``<name>@<alias>``.
    """
    if _BARE_ALIAS.fullmatch(uri) and not Path(uri).exists():
        return _by_alias(*uri.split("@"))
    scheme = urlsplit(uri).scheme
    if scheme == "runs":
        return _of_run(uri)
    if scheme == "models":
        return _of_registry(uri)
    if scheme in ("", "file") and not folder_of(uri).is_dir():
        raise NotFound(f"There is no model folder at {uri}.", fix="Give a folder, or name@alias of a registered model.")
    return ResolvedModel(artifact_uri=uri)


def resolve_model(uri: str, *, into: Path | None = None) -> Path:
    """A local folder with the model that ``uri`` means: where it lies, if that is here, else a download.

    Downloads go ``into`` that folder, by default a fresh one. Raises NotFound, InvalidInput.
    """
    artifact_uri = find_model(uri).artifact_uri
    if urlsplit(artifact_uri).scheme in ("", "file"):
        return folder_of(artifact_uri)
    target = into or Path(tempfile.mkdtemp(prefix="penstock-model-"))
    return connect(client().tracking_uri).artifacts(artifact_uri).download("", target, progress=watcher())


def _of_run(uri: str) -> ResolvedModel:
    run_id, _, path = unquote(urlsplit(uri).path).strip("/").partition("/")
    if not path:
        raise InvalidInput(f"{uri!r} names no model of the run.", fix="Use runs:/<run id>/<artifact path>.")
    run = client().get_run(run_id)
    below = f"{run.info.artifact_uri}/{artifact_path(path)}"
    if connect(client().tracking_uri).artifacts(run.info.artifact_uri).find(f"{path}/MLmodel") is not None:
        return ResolvedModel(artifact_uri=below, run_id=run_id)
    models = _models_of(run)
    for model in models:
        if model.name == path:
            return ResolvedModel(artifact_uri=model.artifact_location, run_id=run_id, model_id=model.model_id)
    known = [model.name for model in models]
    raise NotFound(f"The run {run_id} has no model {path!r}.{near(path, known)}", fix="Check the name.")


def _models_of(run: RunView) -> list[LoggedModelView]:
    """The run's logged models; a 2.x server knows none."""
    with suppress(NotFound):
        return client().search_logged_models(
            [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'", max_results=1000
        )
    return []


def _of_registry(uri: str) -> ResolvedModel:
    path = unquote(urlsplit(uri).path).strip("/")
    if _MODEL_ID.fullmatch(path):
        model = client().get_logged_model(path)
        return ResolvedModel(artifact_uri=model.artifact_location, run_id=model.source_run_id, model_id=model.model_id)
    if "@" in path:
        return _by_alias(*path.split("@", 1))
    name, _, version = path.partition("/")
    if not version:
        raise InvalidInput(f"{uri!r} names no version.", fix=f"Use models:/{name}/1 or models:/{name}@alias.")
    if version.isdigit():
        return _version(name, int(version))
    if version.lower() == "latest" or version.lower() in STAGES:
        return _latest(name, version)
    raise InvalidInput(f"{uri!r}: {version!r} is no version.", fix="Use a number, 'latest', or name@alias.")


def _by_alias(name: str, alias: str) -> ResolvedModel:
    model = _registered(name)
    if alias in model.aliases:
        return _version(name, int(model.aliases[alias]))
    if alias.lower() == "latest":
        return _latest(name, alias)
    raise NotFound(
        f"The model {name!r} has no alias {alias!r}.{near(alias, list(model.aliases))}",
        fix=f"Set it: MlflowClient().set_registered_model_alias('{name}', '{alias}', version).",
    )


def _latest(name: str, stage: str) -> ResolvedModel:
    stages = None if stage.lower() == "latest" else [stage]
    versions = client().get_latest_versions(name, stages)
    if not versions:
        _registered(name)
        raise NotFound(f"The model {name!r} has no version in {stage!r}.", fix="Name a version by its number.")
    return _version(name, max(int(version.version) for version in versions))


def _version(name: str, number: int) -> ResolvedModel:
    _registered(name)
    version = client().get_model_version(name, number)
    return ResolvedModel(
        artifact_uri=client().get_model_version_download_uri(name, number),
        run_id=version.run_id,
        model_id=version.model_id,
        name=name,
        version=number,
    )


def _registered(name: str) -> RegisteredModelView:
    try:
        return client().get_registered_model(name)
    except NotFound:
        known = [model.name for model in client().search_registered_models(max_results=1000)]
        raise NotFound(
            f"There is no registered model {name!r}.{near(name, known)}", fix="Check the name, or register one."
        ) from None
