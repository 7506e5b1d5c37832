"""A deployment's options: flags over the project file's table ``[deployments.NAME]``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.deploy.options import DeployOptions, read_options
from penstock.ground.errors import InvalidInput
from penstock.ground.names import near
from penstock.ground.settings import PROJECT_FILE

_OWN_KEYS = ("model", "to", "name")


class DeploymentSettings(Struct, frozen=True, kw_only=True):
    """What the file and the flags say together. ``model`` and ``to`` are '' when neither says it."""

    name: str
    model: str
    to: str
    options: DeployOptions
    origin: str


def deployment_settings(
    name: str | None, flags: Mapping[str, Any], *, file: Path | None = None, directory: Path | None = None
) -> DeploymentSettings:
    """The settings of the deployment ``name``, or of the file's only one when no name is given.

    Tables merge key by key (``env``, ``tags``), a flag wins. Raises InvalidInput for unknown names and keys.
    """
    path = file or _find(directory or Path.cwd())
    tables = _tables(path) if path else {}
    chosen = name or _only(tables)
    table = tables.get(chosen, {})
    given = {key: value for key, value in flags.items() if value is not None and value != {} and value != ()}
    merged = {**table, **{key: _merged(table.get(key), value) for key, value in given.items()}}
    own = {key: str(merged.pop(key, "")) for key in _OWN_KEYS}
    return DeploymentSettings(
        name=chosen,
        model=own["model"],
        to=own["to"],
        options=read_options(merged),
        origin=str(path) if table else "flags",
    )


def _merged(before: Any, after: Any) -> Any:
    return {**before, **after} if isinstance(before, dict) and isinstance(after, dict) else after


def _only(tables: Mapping[str, Any]) -> str:
    if len(tables) == 1:
        return next(iter(tables))
    known = f" The project file has: {', '.join(tables)}." if tables else ""
    raise InvalidInput(f"No deployment is named.{known}", fix="Give --name.")


def _find(directory: Path) -> Path | None:
    candidates = (folder / PROJECT_FILE for folder in (directory, *directory.parents))
    return next((path for path in candidates if path.is_file()), None)


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}.", fix="Correct that line.") from error
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {path}.", fix="Correct --file.") from error
    if "deployment" in document and "deployments" not in document:
        raise InvalidInput(f"{path} has a table 'deployment'.{near('deployment', ['deployments'])}", fix="Rename it.")
    tables = document.get("deployments", {})
    wrong = [name for name, table in tables.items() if not isinstance(table, dict)]
    if wrong:
        raise InvalidInput(f"In {path}, deployments.{wrong[0]} is no table.", fix="Write [deployments.NAME].")
    return dict(tables)
