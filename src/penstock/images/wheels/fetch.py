"""A lock's wheels as files in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from penstock.ground.progress import SILENT, Progress
from penstock.images.download import Downloader, Wanted
from penstock.images.wheels.indexes import Credentials, index_environment
from penstock.images.wheels.lock import Lock, LockedWheel


def wheel_path(cache_dir: Path, wheel: LockedWheel) -> Path:
    """Where a wheel lies once fetched: under its hash, so that its bytes can never be others."""
    return cache_dir / "wheels" / wheel.sha256 / wheel.filename


def fetch(
    lock: Lock,
    *,
    cache_dir: Path,
    environment: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
) -> dict[str, Path]:
    """The files of the lock's wheels by project name, fetched with the index's own credentials and verified.

    Raises IntegrityError, Unavailable, Unauthenticated, NotFound or StorageFailed; what was fetched before stays.
    """
    wanted = [
        Wanted(url=wheel.url, path=wheel_path(cache_dir, wheel), sha256=wheel.sha256, size_bytes=wheel.size_bytes)
        for wheel in lock.wheels
    ]
    downloader = Downloader(credentials=Credentials(index_environment(environment)).find)
    try:
        with progress.phase("Fetch packages") as phase:
            paths = downloader.ensure_all(wanted, phase)
    finally:
        downloader.close()
    return dict(zip((wheel.name for wheel in lock.wheels), paths, strict=True))
