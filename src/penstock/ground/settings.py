"""One frozen value of settings and where each came from: flag > environment > project file > default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from penstock.ground.errors import InvalidInput

PROJECT_FILE = "penstock.toml"


class Setting(msgspec.Struct, frozen=True):
    """One setting; the first of its environment variables that is set wins."""

    name: str
    parse: Callable[[str], Any]
    expected: str
    environment: tuple[str, ...]
    default: Callable[[Mapping[str, str]], Any]
    help: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What Penstock was told, all of it."""

    state_dir: Path
    cache_dir: Path
    tracking_uri: str
    registry_uri: str | None
    region: str | None
    profile: str | None
    endpoint_url: str | None
    apt_sources: str | None
    base_image: str
    runner: str
    registry_mirrors: str = ""
    origins: dict[str, str] = {}


def _home(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    given = environment.get(variable)
    return Path(given) if given else Path(environment.get("HOME") or Path.home()) / fallback


def _state_dir(environment: Mapping[str, str]) -> Path:
    return _home(environment, "XDG_STATE_HOME", ".local/state") / "penstock"


def _cache_dir(environment: Mapping[str, str]) -> Path:
    return _home(environment, "XDG_CACHE_HOME", ".cache") / "penstock"


def _none(_: Mapping[str, str]) -> None:
    return None


def _path(text: str) -> Path:
    if not text:
        raise ValueError
    return Path(text).expanduser().absolute()


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return parse


def read_mirrors(text: str) -> dict[str, tuple[str, ...]]:
    """("docker.io=a.example:5000,b.example ghcr.io=c.example") as lists of hosts by registry. Raises ValueError."""
    pairs = [word.partition("=") for word in text.split()]
    if any(not registry or not hosts for registry, _, hosts in pairs):
        raise ValueError
    return {registry: tuple(host for host in hosts.split(",") if host) for registry, _, hosts in pairs}


def _mirrors(text: str) -> str:
    read_mirrors(text)
    return text


RUNNERS = ("auto", "podman", "unshare", "bwrap", "process")

SETTINGS: tuple[Setting, ...] = (
    Setting("state_dir", _path, "a directory", ("PENSTOCK_STATE_DIR",), _state_dir,
            "Where runs, models, ledgers and planes are kept."),
    Setting("cache_dir", _path, "a directory", ("PENSTOCK_CACHE_DIR",), _cache_dir,
            "Where wheels, packages and layers are kept; safe to delete."),
    Setting("tracking_uri", str, "a URI", ("PENSTOCK_TRACKING_URI", "MLFLOW_TRACKING_URI"), lambda _: "",
            "The tracking server or database; by default penstock.db in the state directory."),
    Setting("registry_uri", str, "a URI", ("PENSTOCK_REGISTRY_URI", "MLFLOW_REGISTRY_URI"), _none,
            "The model registry; by default the tracking URI."),
    Setting("region", str, "an AWS region", ("AWS_REGION", "AWS_DEFAULT_REGION"), _none,
            "The AWS region to deploy to."),
    Setting("profile", str, "an AWS profile", ("AWS_PROFILE",), _none, "The AWS profile to use."),
    Setting("endpoint_url", str, "a URL", ("AWS_ENDPOINT_URL",), _none,
            "Where AWS is: an embedded plane's URL, or unset for AWS itself."),
    Setting("apt_sources", str, "a file, or lines of apt's one-line form", ("PENSTOCK_APT_SOURCES",), _none,
            "Where Debian packages for the base image come from; by default the host's own apt sources."),
    Setting("base_image", str, "'auto', 'debian', or an image reference", ("PENSTOCK_BASE",), lambda _: "auto",
            "What images are built on."),
    Setting("runner", _one_of(*RUNNERS), f"one of {', '.join(RUNNERS)}", ("PENSTOCK_RUNNER",), lambda _: "auto",
            "How the plane isolates containers; 'auto' takes the best that a probe found working."),
    Setting("registry_mirrors", _mirrors, "REGISTRY=HOST,HOST ... with spaces between", ("PENSTOCK_REGISTRY_MIRRORS",),
            lambda _: "", "Hosts to pull a registry's images from first, e.g. docker.io=mirror.example:5000."),
)  # fmt: skip


def load_settings(
    flags: Mapping[str, str | None] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """The settings in force. Raises InvalidInput naming the key, the value and what was expected."""
    env = os.environ if environment is None else environment
    project, project_name = _project_table(directory or Path.cwd())
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        text, origin = _find(setting, flags or {}, env, project, project_name)
        origins[setting.name] = origin
        values[setting.name] = setting.default(env) if text is None else _parsed(setting, text, origin)
    if not values["tracking_uri"]:
        values["tracking_uri"] = f"sqlite:///{values['state_dir'] / 'penstock.db'}"
    return Settings(**values, origins=origins)


def _find(
    setting: Setting,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    project: Mapping[str, Any],
    project_name: str,
) -> tuple[str | None, str]:
    flag = flags.get(setting.name)
    if flag is not None:
        return flag, f"flag --{setting.name.replace('_', '-')}"
    for variable in setting.environment:
        if environment.get(variable):
            return environment[variable], f"environment {variable}"
    if setting.name in project:
        return str(project[setting.name]), f"file {project_name}"
    return None, "default"


def _parsed(setting: Setting, text: str, origin: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError:
        raise InvalidInput(
            f"The setting {setting.name!r} has the value {text!r} (from {origin}).",
            fix=f"Give {setting.expected}.",
        ) from None


def _project_table(directory: Path) -> tuple[dict[str, Any], str]:
    """The nearest project file's table, looking upward from ``directory``, and that file's name."""
    for folder in (directory, *directory.parents):
        own = folder / PROJECT_FILE
        if own.is_file():
            table = _toml(own)
            return {key: value for key, value in table.items() if not isinstance(value, dict)}, str(own)
        shared = folder / "pyproject.toml"
        if shared.is_file():
            table = _toml(shared).get("tool", {}).get("penstock", {})
            if table:
                return {key: value for key, value in table.items() if not isinstance(value, dict)}, str(shared)
    return {}, ""


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}.", fix="Correct that line.") from error
