"""What handlers work with, and what a server was told."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from penstock.artifacts.open import open_artifacts
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.errors import InvalidInput
from penstock.store.open import Store

PROXY_SCHEME = "mlflow-artifacts:"


class ServerOptions(Struct, frozen=True, kw_only=True):
    """What a tracking server was told; the defaults are MLflow's, but for the number of workers."""

    store_uri: str = "sqlite:///penstock.db"
    default_artifact_root: str | None = None
    artifacts_destination: str = "./mlartifacts"
    serve_artifacts: bool = True
    artifacts_only: bool = False
    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    static_prefix: str = ""
    allowed_hosts: tuple[str, ...] = ()
    cors_allowed_origins: tuple[str, ...] = ()
    security: bool = True
    x_frame_options: str = "SAMEORIGIN"
    drain_s: float = 25.0
    ui_folder: Path | None = None

    @property
    def artifact_root(self) -> str:
        """Where new experiments keep artifacts."""
        if self.default_artifact_root:
            return self.default_artifact_root
        return f"{PROXY_SCHEME}/" if self.serve_artifacts else self.artifacts_destination


class Context(Struct, frozen=True):
    """A handler's surroundings: the open store, the options, and who is asking (None: nobody said)."""

    store: Store
    options: ServerOptions
    user_id: str | None = None

    def artifacts_at(self, uri: str) -> tuple[ArtifactRepository, str]:
        """The repository that holds ``uri`` and the path of ``uri`` in it.

        What the proxy serves is read from the destination itself. Raises InvalidInput for a place nobody can open.
        """
        if uri.startswith(PROXY_SCHEME):
            return opened(self.options.artifacts_destination), proxied_path(uri)
        if urlsplit(uri).scheme.lower() in ("http", "https"):
            raise InvalidInput("The server reads no artifacts from other servers.", fix="Ask that server for them.")
        return opened(uri), ""


def proxied_path(uri: str) -> str:
    """``mlflow-artifacts:/1/abc`` or ``mlflow-artifacts://host:5000/1/abc`` -> ``1/abc``."""
    rest = uri[len(PROXY_SCHEME) :]
    if rest.startswith("//"):
        rest = rest[2:].partition("/")[2]
    return rest.lstrip("/")


@lru_cache(maxsize=256)
def opened(uri: str) -> ArtifactRepository:
    """The repository at ``uri``, opened once."""
    return open_artifacts(uri)
