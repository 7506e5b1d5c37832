"""What a rebuild of an image would change today: newer wheels within its requirements, newer Debian packages."""

from __future__ import annotations

from pathlib import Path

import msgspec

from penstock.ground.errors import InvalidInput
from penstock.ground.progress import SILENT, Progress
from penstock.images.bases.choose import choose_base
from penstock.images.bases.debian import debian_sources, find_selection
from penstock.images.contents import debian_versions, locked_versions
from penstock.images.difference import Change, compared
from penstock.images.store import StoredImage
from penstock.images.wheels.resolve import resolve_now
from penstock.oci.image import Image


class Outdated(msgspec.Struct, frozen=True):
    """What has a newer version; ``has`` and ``offered`` of each are Change's ``before`` and ``after``."""

    packages: tuple[Change, ...]
    debian_packages: tuple[Change, ...]


def find_outdated(
    image: Image, stored: StoredImage, *, apt_sources: str | None, cache_dir: Path, progress: Progress = SILENT
) -> Outdated:
    """What the package sources offer now for the requirements that ``stored`` was built from.

    Nothing that is kept changes. Raises InvalidInput for an image that was not built here.
    """
    target = stored.target
    if target is None:
        raise InvalidInput(
            f"{stored.digest} was not built here, so what it was built from is not known.", fix="Build it here."
        )
    with progress.phase("Ask the package indexes"):
        lock = resolve_now(stored.requirements, target)
        packages = compared(locked_versions(image), {wheel.name: wheel.version for wheel in lock.wheels})
    if choose_base(stored.base_name, target, apt_sources=apt_sources) != "debian":
        return Outdated(packages, ())
    with progress.phase("Ask the Debian archives"):
        selection = find_selection(target, debian_sources(apt_sources), cache_dir=cache_dir)
    offered = {package.name: package.version for package in selection.packages}
    return Outdated(packages, compared(debian_versions(image), offered))
