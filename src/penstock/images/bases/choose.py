"""Which base an image is built on: Debian packages where apt's sources have the Python, else a registry's image."""

from __future__ import annotations

from pathlib import Path

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.progress import SILENT, Progress
from penstock.images.bases.apt_sources import sources_for
from penstock.images.bases.base import Base
from penstock.images.bases.debian import debian_sources, ensure_debian_base, select
from penstock.images.bases.registry import base_of, ensure_registry_base
from penstock.images.places import find_image_files
from penstock.images.target import Target
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient


def ensure_base(
    name: str,
    target: Target,
    *,
    apt_sources: str | None,
    cache_dir: Path,
    blobs: BlobCache,
    refresh: bool = False,
    registry: RegistryClient | None = None,
    progress: Progress = SILENT,
) -> Base:
    """The base called ``name``: "auto", "debian", a layout, an archive or a reference.

    What was chosen before is used again unless ``refresh``.
    Raises EnvironmentMismatch when it has another Python than the target's, and says so.
    """
    chosen = choose_base(name, target, apt_sources=apt_sources)
    if chosen == "debian":
        sources = debian_sources(apt_sources)
        selection = select(target, sources, cache_dir=cache_dir, refresh=refresh, progress=progress)
        return ensure_debian_base(target, selection, cache_dir=cache_dir, blobs=blobs, progress=progress)
    filed = find_image_files(chosen, blobs=blobs, platform=target.platform)
    if filed is not None:
        return base_of(filed, target, chosen)
    return ensure_registry_base(
        chosen, target, cache_dir=cache_dir, blobs=blobs, refresh=refresh, client=registry, progress=progress
    )


def choose_base(name: str, target: Target, *, apt_sources: str | None) -> str:
    """``name``, with "auto" settled: "debian" where a source carries the Python, else the slim Python image."""
    sources = debian_sources(apt_sources) if name in ("auto", "debian") else ()
    carried = sources_for(sources, target.python) is not None
    if name == "debian" and not carried:
        where = "The configured apt sources carry" if sources else "This host has no apt sources, so none carries"
        raise EnvironmentMismatch(
            f"{where} no Debian release with Python {target.python}; bookworm has 3.11 and trixie 3.13.",
            fix="Name an archive in the setting apt_sources, or give --base an image reference.",
        )
    if name == "auto":
        return "debian" if carried else f"python:{target.python}-slim"
    return name
