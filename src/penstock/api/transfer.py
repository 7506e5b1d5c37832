"""Moving in and out: ``import_from`` an mlruns folder, MLflow's database or a live server; ``export_to`` a folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from penstock.api.backend import open_backend
from penstock.api.moving.backend import BackendOrigin
from penstock.api.moving.counts import MoveReport
from penstock.api.moving.database import DatabaseOrigin
from penstock.api.moving.destination import StoreDestination
from penstock.api.moving.mlruns import MlrunsOrigin
from penstock.api.moving.mlruns_writer import MlrunsDestination
from penstock.api.moving.move import move
from penstock.api.moving.origin import Origin
from penstock.artifacts.local import folder_of
from penstock.ground.errors import InvalidInput
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import load_settings

_DATABASES = ("sqlite", "postgresql", "postgres")


def import_from(
    source: str,
    *,
    into: str | None = None,
    artifact_root: str | None = None,
    artifacts_destination: str | None = None,
    source_artifacts: str | None = None,
    progress: Progress = SILENT,
) -> MoveReport:
    """What an MLflow ``source`` holds and what is here afterwards, counted.

    ``source`` is an mlruns folder, MLflow's database (``sqlite:///...``, ``postgresql://...``) or a server
    (``http://...``). Ids, times, lifecycle, versions and aliases are kept; artifacts in folders and behind proxies are
    copied under ``artifact_root``, those in remote storage stay there. ``source_artifacts`` is where the server of a
    database keeps proxied artifacts; ``artifacts_destination`` the same for our own server, whose root is
    then ``mlflow-artifacts:/``. Run again, it goes on where it was interrupted.

    Raises Conflict, NotFound, InvalidInput.
    """
    settings = load_settings()
    wanted = into or settings.tracking_uri
    if urlsplit(wanted).scheme.partition("+")[0] not in _DATABASES:
        raise InvalidInput(
            f"Things move into a database, and {wanted!r} is none.",
            fix="Pass the store that the server serves (--into).",
        )
    origin = _origin(source, source_artifacts)
    try:
        proxied = "mlflow-artifacts:" if artifacts_destination else str(settings.state_dir / "artifacts")
        destination = StoreDestination(
            wanted, artifact_root=artifact_root or proxied, destination=artifacts_destination
        )
        try:
            return move(origin, destination, progress=progress)
        finally:
            destination.close()
    finally:
        origin.close()


def export_to(
    folder: str | Path,
    *,
    source: str | None = None,
    artifacts_destination: str | None = None,
    progress: Progress = SILENT,
) -> MoveReport:
    """What is here and what the mlruns folder ``folder`` holds afterwards, counted. Stock MLflow opens that folder.

    ``source`` is a store or a server, by default the one in force; ``artifacts_destination`` is where the server of a
    store keeps proxied artifacts.
    """
    settings = load_settings()
    uri = source or settings.tracking_uri
    backend = open_backend(uri, artifact_root=str(settings.state_dir / "artifacts"))
    origin = BackendOrigin(backend, uri, destination=artifacts_destination)
    try:
        return move(origin, MlrunsDestination(Path(folder)), progress=progress)
    finally:
        origin.close()


def _origin(source: str, source_artifacts: str | None) -> Origin:
    scheme = urlsplit(source).scheme.partition("+")[0]
    if scheme in _DATABASES:
        return DatabaseOrigin(source, artifacts_destination=source_artifacts)
    if scheme in ("http", "https"):
        return BackendOrigin(open_backend(source, artifact_root=""), source)
    if scheme in ("", "file"):
        return MlrunsOrigin(folder_of(source))
    raise InvalidInput(f"{source!r} cannot be imported.", fix="Give an mlruns folder, a database or a server's URL.")
