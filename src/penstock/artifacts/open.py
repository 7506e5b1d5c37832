"""The repository that an artifact URI names."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit

from penstock.artifacts.paths import artifact_path
from penstock.artifacts.port import ArtifactStorage
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.errors import EnvironmentMismatch, InvalidInput


class Place(NamedTuple):
    """Who opens a scheme's URIs: a function ``(uri, *, tracking_uri) -> ArtifactStorage``, and the extra it needs."""

    module: str
    function: str
    extra: str = ""


# Imported when a URI of the scheme is opened, so that a folder costs no import of boto3.
PLACES: dict[str, Place] = {
    "": Place("penstock.artifacts.local", "open_local"),
    "file": Place("penstock.artifacts.local", "open_local"),
    "s3": Place("penstock.artifacts.s3", "open_s3", "aws"),
    "mlflow-artifacts": Place("penstock.artifacts.http", "open_proxy"),
    "http": Place("penstock.artifacts.http", "open_proxy"),
    "https": Place("penstock.artifacts.http", "open_proxy"),
}


def open_artifacts(uri: str, *, tracking_uri: str | None = None, destination: str | None = None) -> ArtifactRepository:
    """The repository at ``uri``: a folder or ``file:``, ``s3:``, ``mlflow-artifacts:`` or its http(s) form.

    ``tracking_uri`` is the server that ``mlflow-artifacts:/path`` is relative to; with ``destination``, where that
    server keeps them, they are opened there and no server is asked. Raises InvalidInput, and EnvironmentMismatch when
    the place's extra is not installed.
    """
    scheme = urlsplit(uri).scheme
    if scheme == "mlflow-artifacts" and destination is not None:
        path = artifact_path(unquote(urlsplit(uri).path).strip("/"))
        return open_artifacts(f"{destination.rstrip('/')}/{path}")
    place = PLACES.get(scheme)
    if place is None:
        raise InvalidInput(
            f"Artifacts cannot be kept at {uri!r}: the scheme {scheme!r} is not known.",
            fix="Use a folder, s3://bucket/prefix, or a tracking server's mlflow-artifacts:/path.",
        )
    try:
        opener = getattr(import_module(place.module), place.function)
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            f"{uri} needs {error.name}, which is not installed.", fix=f"pip install 'penstock[{place.extra}]'"
        ) from error
    return ArtifactRepository(cast("ArtifactStorage", opener(uri, tracking_uri=tracking_uri)))
