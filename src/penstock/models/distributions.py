"""Installed distributions by the module they provide: found in milliseconds, without reading the whole environment."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

# Where the name does not follow from the module's; the RECORD is checked all the same.
_KNOWN = {
    "sklearn": "scikit_learn", "yaml": "pyyaml", "PIL": "pillow", "cv2": "opencv_python", "bs4": "beautifulsoup4",
    "dateutil": "python_dateutil", "skimage": "scikit_image", "google": "protobuf", "tensorflow": "tensorflow",
}  # fmt: skip


class Distribution(Struct, frozen=True):
    """An installed distribution: its name and version as its METADATA states them."""

    name: str
    version: str
    requires: tuple[str, ...] = ()

    @property
    def pin(self) -> str:
        """e.g. ``scikit-learn==1.9.1``; a local build tag ("+cpu") is left out, for an index may not have it."""
        return f"{self.name}=={self.version.partition('+')[0]}"


def normalized(name: str) -> str:
    """A distribution's name in the one spelling by which two names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def find_distribution(module: str) -> Distribution | None:
    """The distribution that installed the top-level ``module``, or None: it is Python's own, local or not there."""
    directory = _site_directory(module)
    if directory is None:
        return None
    wanted = normalized(_KNOWN.get(module, module))
    infos = sorted(directory.glob("*.dist-info"), key=lambda info: normalized(_stem(info)) != wanted)
    return next((_read(info) for info in infos if _provides(info, module)), None)


def loaded_requirements(distribution: Distribution) -> tuple[Distribution, ...]:
    """The distributions it requires that are imported in this process: what it really ran with."""
    modules = {module.partition(".")[0] for module in sys.modules}
    wanted = {normalized(name) for name in distribution.requires}
    named = {module for module in modules if normalized(_KNOWN.get(module, module)) in wanted}
    found = (find_distribution(module) for module in sorted(named))
    return tuple(each for each in found if each is not None and normalized(each.name) in wanted)


def _site_directory(module: str) -> Path | None:
    try:
        loaded = sys.modules.get(module)
        spec = loaded.__spec__ if loaded is not None else find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec.has_location and spec.origin else None


def _stem(info: Path) -> str:
    return info.name.partition("-")[0]


def _provides(info: Path, module: str) -> bool:
    try:
        record = (info / "RECORD").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(rf"^{re.escape(module)}(/|\.py,|\.[\w.-]*so,)", record, re.MULTILINE) is not None


def _read(info: Path) -> Distribution:
    name = version = ""
    requires = []
    for line in (info / "METADATA").read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(": ")
        if key == "Name":
            name = value.strip()
        elif key == "Version":
            version = value.strip()
        elif key == "Requires-Dist" and "extra ==" not in value:
            requires.append(re.split(r"[^\w.-]", value.strip(), maxsplit=1)[0])
        elif not line:
            break
    return Distribution(name, version, tuple(requires))
