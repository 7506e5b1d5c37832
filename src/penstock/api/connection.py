"""One tracking place as the whole process shares it: its store, its recorder, its artifacts."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.api.backend import open_backend
from penstock.api.chosen import chosen
from penstock.api.recording.destination import Destination
from penstock.api.recording.operations import Operation
from penstock.api.recording.recorder import Recorder
from penstock.api.recording.spool import new_spool
from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.errors import PenstockError, Unavailable
from penstock.ground.settings import Settings, load_settings

if TYPE_CHECKING:
    from penstock.store.registry.whole import RegistryStore
    from penstock.store.tracking import TrackingStore


T = TypeVar("T")


class Connection:
    """A store behind a recorder. Reading through ``tracking`` sees everything that was recorded before."""

    def __init__(self, uri: str, settings: Settings) -> None:
        self.uri = uri
        self._store = open_backend(uri, artifact_root=str(settings.state_dir / "artifacts"))
        spool = new_spool(settings.state_dir, uri)
        self._artifact_uris: dict[str, str] = {}
        self.identities = spool.identities()
        sink = Destination(self._store, artifacts=self.artifacts, identities=self.identities, folder=spool.folder)
        self.recorder = Recorder(sink, spool=spool, tracking_uri=uri, identities=self.identities)

    @property
    def tracking(self) -> TrackingStore:
        """The tracking store, after everything recorded so far has reached it."""
        self.recorder.flush()
        return self._store.tracking

    @property
    def registry(self) -> RegistryStore:
        return self._store.registry

    def run_artifact_uri(self, run_id: str) -> str:
        """Where the run keeps its artifacts; it never moves, so it is asked for once."""
        if run_id not in self._artifact_uris:
            run = self._store.tracking.get_run(self.identities.of(run_id))
            self._artifact_uris[run_id] = run.info.artifact_uri
        return self._artifact_uris[run_id]

    def artifact_uri(self, *, run_id: str = "", model_id: str = "") -> str:
        """Where the run, or the logged model if one is named, keeps its files."""
        if model_id:
            return self._store.tracking.get_logged_model(self.identities.of(model_id)).artifact_uri
        return self.run_artifact_uri(run_id)

    def now_or_later(self, ask: Callable[[TrackingStore], T], otherwise: Operation, answer: T) -> T:
        """What ``ask`` answers; while the server is away ``answer``, and ``otherwise`` waits on disk to be sent."""
        if self.recorder.caught_up():
            try:
                return ask(self.tracking)
            except Unavailable:
                pass
        self.recorder.record(otherwise)
        self.recorder.flush()
        return answer

    def artifacts(self, uri: str) -> ArtifactRepository:
        """The artifacts at ``uri``, which may be relative to this connection's server."""
        return open_artifacts(uri, tracking_uri=self.uri)

    def close(self) -> None:
        self.recorder.close()
        self._store.close()


_lock = threading.Lock()
_open: dict[str, Connection] = {}
# Logging a metric takes microseconds; reading the project file takes a thousand times that.
_VARIABLES = (
    "PENSTOCK_TRACKING_URI", "MLFLOW_TRACKING_URI", "PENSTOCK_REGISTRY_URI", "MLFLOW_REGISTRY_URI",
    "PENSTOCK_STATE_DIR", "XDG_STATE_HOME", "HOME",
)  # fmt: skip
_seen_settings: dict[tuple[str | None, ...], Settings] = {}


def connect(uri: str | None = None) -> Connection:
    """The process's connection to ``uri`` (by default to the one in force), opened on first use."""
    wanted = uri or default_uri()
    found = _open.get(wanted)
    if found is not None:
        return found
    with _lock:
        if wanted not in _open:
            _open[wanted] = Connection(wanted, load_settings())
        return _open[wanted]


def default_uri() -> str:
    """The tracking store in force: chosen in this process, else the setting's."""
    return chosen.tracking_uri or _settings().tracking_uri


def registry_uri() -> str | None:
    """The model registry in force, where it is not the tracking store."""
    return chosen.registry_uri or _settings().registry_uri


def _settings() -> Settings:
    """The settings, read anew only when a variable that these URIs may come from has changed."""
    seen = tuple(os.environ.get(variable) for variable in _VARIABLES)
    if seen not in _seen_settings:
        _seen_settings[seen] = load_settings()
    return _seen_settings[seen]


def disconnect_all() -> None:
    """Flushes and closes every connection; what a server was not there for is left to ``penstock sync``."""
    with _lock:
        connections = list(_open.values())
        _open.clear()
    for connection in connections:
        try:
            connection.close()
        except PenstockError as error:
            warnings.warn(f"Not everything that was logged was kept: {error}", stacklevel=1)
        if connection.recorder.is_spooling:
            warnings.warn(
                f"{connection.uri} is away: what was logged waits on disk. Run `penstock sync` later.", stacklevel=1
            )


def _forget() -> None:
    """In a forked child: the parent's sockets, threads and databases are the parent's."""
    global _lock  # the parent may have held it at the fork
    _lock = threading.Lock()
    _open.clear()


atexit.register(disconnect_all)
os.register_at_fork(after_in_child=_forget)
