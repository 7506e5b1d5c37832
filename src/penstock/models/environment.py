"""The environment a model needs: captured from what it imports, pinned, and written as MLflow's three files."""

from __future__ import annotations

import platform
import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.ground.files import ensure_directory, write_atomically
from penstock.models.distributions import find_distribution, loaded_requirements, normalized
from penstock.models.folder import CONDA, PYTHON_ENV, REQUIREMENTS, WHEELS
from penstock.models.imports import top_level

_OWN = {"penstock", "mlflow"}


class Environment(Struct, frozen=True):
    """What must be installed: requirement lines in order, and the Python version."""

    requirements: tuple[str, ...]
    python_version: str

    def with_wheels(self, folder: Path) -> Environment:
        """The same, with wheels that lie on this machine copied into ``folder`` and named as ``wheels/...``.

        So names MLflow them, whose pip runs in the folder. Raises InvalidInput for a wheel that is not there.
        """
        return Environment(tuple(_carried(line, folder) for line in self.requirements), self.python_version)

    def write(self, folder: Path) -> None:
        """Writes requirements.txt, conda.yaml and python_env.yaml."""
        write_atomically(folder / REQUIREMENTS, "".join(f"{line}\n" for line in self.requirements).encode())
        pip = {"pip": list(self.requirements)}
        conda = {"channels": ["conda-forge"], "dependencies": [f"python={self.python_version}", "pip", pip]}
        write_atomically(folder / CONDA, _yaml({**conda, "name": "mlflow-env"}))
        build = ["pip", "setuptools", "wheel"]
        table = {"python": self.python_version, "build_dependencies": build, "dependencies": ["-r requirements.txt"]}
        write_atomically(folder / PYTHON_ENV, _yaml(table, sort_keys=False))


def _carried(line: str, folder: Path) -> str:
    """``line``, or the folder's own copy of the wheel that it names by a path or a file URL."""
    place = line.rpartition(" @ ")[2].removeprefix("file://")
    if not place.endswith(".whl") or "://" in place:
        return line
    wheel = Path(place)
    if not wheel.is_file():
        raise InvalidInput(f"The requirements name the wheel {wheel}, which does not exist.", fix="Correct the path.")
    shutil.copy2(wheel, ensure_directory(folder / WHEELS) / wheel.name)
    return f"{WHEELS}/{wheel.name}"


def _yaml(table: dict[str, Any], *, sort_keys: bool = True) -> bytes:
    return yaml.safe_dump(table, default_flow_style=False, sort_keys=sort_keys, allow_unicode=True).encode()


def capture_environment(
    modules: frozenset[str],
    *,
    always: Sequence[str] = (),
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    local: frozenset[str] = frozenset(),
) -> Environment:
    """The environment of a model that imports ``modules``.

    Each import's distribution is pinned, and with it those of its own requirements that are in use in this process
    (scikit-learn brings the scipy it ran with). ``always`` names modules that loading needs besides; ``local`` those
    that travel in ``code/``. ``pip_requirements`` replaces the captured list, ``extra_pip_requirements`` adds to it.
    A module that no distribution provides is warned about.
    """
    if pip_requirements is not None:
        lines = requirement_lines(pip_requirements)
    else:
        lines = captured_requirements(modules | frozenset(always), local=local)
    extra = requirement_lines(extra_pip_requirements) if extra_pip_requirements is not None else ()
    return Environment(_merged(lines, extra), platform.python_version())


def captured_requirements(modules: frozenset[str], *, local: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The pinned requirement lines of these modules, sorted by name."""
    pins: dict[str, str] = {}
    for module in sorted(top_level(modules) - local - {"penstock"}):
        distribution = find_distribution(module)
        if distribution is None:
            _warn_local(module)
            continue
        own = loaded_requirements(distribution) if normalized(distribution.name) not in _OWN else ()
        for each in (distribution, *own):
            pins[normalized(each.name)] = each.pin
    return tuple(pins[name] for name in sorted(pins))


def _warn_local(module: str) -> None:
    warnings.warn(
        f"The model imports {module!r}, which no installed distribution provides. "
        f"Pass code_paths=[...] to carry its files with the model, or pip_requirements=[...] to name its wheel.",
        stacklevel=2,
    )


def requirement_lines(given: Sequence[str] | str | Path) -> tuple[str, ...]:
    """The lines of a requirements file (``-r`` and ``-c`` inside it kept as they are), or of a list."""
    if isinstance(given, str | Path):
        file = Path(given)
        if not file.is_file():
            raise InvalidInput(f"There is no requirements file {given}.", fix="Give its path, or a list of lines.")
        given = file.read_text(encoding="utf-8").splitlines()
    stripped = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in given)
    return tuple(line for line in stripped if line)


def _merged(lines: tuple[str, ...], extra: tuple[str, ...]) -> tuple[str, ...]:
    """``lines``, with those that ``extra`` names again replaced by it."""
    named = {_name(line) for line in extra}
    return (*(line for line in lines if _name(line) not in named), *extra)


def _name(line: str) -> str:
    return normalized(re.split(r"[^\w.-]", line, maxsplit=1)[0]) if line[:1].isalnum() else line
