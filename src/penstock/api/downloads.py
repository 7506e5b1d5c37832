"""The fluent functions that fetch artifacts by any URI."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from penstock.api.active import client
from penstock.api.chosen import chosen
from penstock.api.connection import connect
from penstock.api.resolve import find_model
from penstock.api.watching import watcher
from penstock.artifacts.paths import artifact_path as clean_path
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import FileInfo
from penstock.ground.errors import InvalidInput


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | Path | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> str:
    """The local path of the file or folder, downloaded below ``dst_path`` (by default a fresh folder).

    Give an ``artifact_uri``, or a ``run_id`` and a path of that run; the URIs are those in force unless given. Raises
    NotFound.
    """
    with _chosen(tracking_uri, registry_uri):
        place, path = _place(artifact_uri, run_id, artifact_path)
    folder = Path(dst_path) if dst_path else Path(tempfile.mkdtemp(prefix="penstock-"))
    name = path.rpartition("/")[2]
    return str(place.download(path, folder / name, progress=watcher()))


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """The direct children of a folder of artifacts."""
    with _chosen(tracking_uri, None):
        place, path = _place(artifact_uri, run_id, artifact_path)
    return list(place.list(path))


def load_text(artifact_uri: str) -> str:
    """The artifact's text, read as UTF-8."""
    place, path = _place(artifact_uri, None, None)
    with place.open(path) as reading:
        return reading.read().decode()


def load_dict(artifact_uri: str) -> Any:
    """What the artifact holds as JSON or YAML."""
    text = load_text(artifact_uri)
    return yaml.safe_load(text) if artifact_uri.endswith((".yml", ".yaml")) else json.loads(text)


@contextmanager
def _chosen(tracking_uri: str | None, registry_uri: str | None) -> Iterator[None]:
    """Has the URIs in force while the block runs."""
    before = (chosen.tracking_uri, chosen.registry_uri)
    chosen.tracking_uri, chosen.registry_uri = tracking_uri or before[0], registry_uri or before[1]
    try:
        yield
    finally:
        chosen.tracking_uri, chosen.registry_uri = before


def _place(artifact_uri: str | None, run_id: str | None, artifact_path: str | None) -> tuple[ArtifactRepository, str]:
    """The repository and the path in it."""
    if (artifact_uri is None) == (run_id is None):
        raise InvalidInput("Artifacts are named by a URI, or by a run and a path.", fix="Give one of the two.")
    connection = connect(client().tracking_uri)
    if run_id is not None:
        return connection.artifacts(connection.run_artifact_uri(run_id)), clean_path(artifact_path or "")
    uri = str(artifact_uri)
    scheme = urlsplit(uri).scheme
    if scheme == "runs":
        run, _, path = unquote(urlsplit(uri).path).strip("/").partition("/")
        return connection.artifacts(connection.run_artifact_uri(run)), clean_path(path)
    if scheme == "models":
        return connection.artifacts(find_model(uri).artifact_uri), ""
    root, _, name = uri.rstrip("/").rpartition("/")
    return connection.artifacts(root or "/"), clean_path(unquote(name) if scheme else name)
