"""The port of a kind of resource: how one is made, removed and looked up. Every kind is one class in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from penstock.deploy.session import AwsSession
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.progress import SILENT, Progress
from penstock.oci.image import Image


class Materials(Struct, frozen=True, kw_only=True):
    """The bytes behind a plan: images to push by digest, model archives to upload by SHA-256."""

    images: Mapping[str, Image] = {}
    archives: Mapping[str, Path] = {}


class Making(Struct, frozen=True, kw_only=True):
    """What the making and removing of one deployment's resources needs at hand."""

    aws: AwsSession
    deployment: str
    tags: dict[str, str] = {}
    materials: Materials = Materials()
    fresh_role: bool = False
    progress: Progress = SILENT
    clock: Clock = SYSTEM_CLOCK


class ResourceKind(Protocol):
    """One kind of resource. Names come from resources.py; ``spec`` is the plan's step's."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        """Makes it, or finds that it is there already: making twice is making once."""

    def remove(self, making: Making, name: str) -> None:
        """Removes it; absent is fine. A shared container (bucket, repository) stays while it is not empty."""

    def exists(self, making: Making, name: str) -> bool:
        """Whether it is there now."""
