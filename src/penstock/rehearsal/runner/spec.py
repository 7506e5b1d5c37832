"""What a container is to be, and what a level of isolation makes of it: values only."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

MODEL_DIRECTORY = "/opt/ml/model"
MODELS_DIRECTORY = "/opt/ml/models"
BIND_LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
MULTI_MODEL_LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One container to run.

    ``home`` is its own directory (upper layer, spec, log), ``layers`` the unpacked layers' directories, the top one
    first; ``argv`` the image's entrypoint with the argument ``serve``; ``model`` the extracted archive or None;
    ``models`` the folder into which a multi-model container's models come.
    """

    name: str
    home: Path
    layers: tuple[Path, ...]
    argv: tuple[str, ...]
    environment: dict[str, str]
    directory: str = "/"
    user: str = ""
    model: Path | None = None
    models: Path | None = None
    port: int
    hostname: str = "model.aws.local"
    isolate_network: bool = False
    memory_bytes: int | None = None

    @property
    def read_only(self) -> dict[Path, str]:
        """What of this machine the container sees, and where."""
        seen = {self.model: MODEL_DIRECTORY, self.models: MODELS_DIRECTORY}
        return {path: place for path, place in seen.items() if path is not None}


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How to start a container: the document that ``enter.py`` reads, and how it may be told to stop."""

    document: dict[str, object]
    dies_by: str = "KILL"


class Level(Protocol):
    """One way to isolate a container."""

    name: str
    description: str
    sees_host: bool  # whether containers see this machine's paths instead of their own

    def why_not(self) -> str | None:
        """Why this level cannot even be tried on this machine; None if it can."""

    def launch(self, spec: ContainerSpec) -> Launch:
        """How to start ``spec`` at this level; prepares what it needs under ``spec.home``."""

    def forget(self, name: str) -> None:
        """Removes what a container of that name may have left outside its home."""
