"""Storages that clients may also reach by themselves: signed URLs for parts of an upload, and for whole artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import urlsplit

from msgspec import Struct

from penstock.ground.errors import NotImplementedHere

MAX_PARTS = 10_000
_OPENERS = {"s3": ("penstock.artifacts.s3_parts", "open_s3_parts")}


class Part(Struct, frozen=True):
    """A part that was uploaded: its number from 1 on and what the storage called it."""

    number: int
    etag: str


class PartTarget(Struct, frozen=True):
    """Where one part goes, by PUT."""

    number: int
    url: str


class PartwiseStorage(Protocol):
    """A storage that signs URLs. Paths reach it clean (see paths.artifact_path)."""

    def create(self, path: str, count: int) -> tuple[str, tuple[PartTarget, ...]]:
        """The upload's id, and where each of its ``count`` parts goes."""

    def complete(self, path: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Makes the artifact of the parts."""

    def abort(self, path: str, upload_id: str) -> None:
        """Forgets the parts."""

    def download_url(self, path: str, *, seconds: int) -> tuple[str, int]:
        """A URL that gives the artifact for a while, and the artifact's size. Raises NotFound."""

    def upload_url(self, path: str, *, seconds: int) -> str:
        """A URL that takes the artifact for a while, by PUT."""


def open_parts(uri: str) -> PartwiseStorage:
    """The storage at ``uri``. Raises NotImplementedHere when its kind does not sign URLs."""
    scheme = urlsplit(uri).scheme
    if scheme not in _OPENERS:
        raise NotImplementedHere(
            "Multipart upload is not supported for the current artifact repository", fix="Send the file in one piece."
        )
    module, function = _OPENERS[scheme]
    return cast("PartwiseStorage", getattr(import_module(module), function)(uri))
