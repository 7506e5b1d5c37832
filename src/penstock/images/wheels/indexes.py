"""Where packages come from: uv's own settings, else pip's, so that one configured index serves both."""

from __future__ import annotations

import configparser
import netrc
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NO_INDEX = "UV_NO_INDEX"  # uv has a flag for it and no variable; resolve.py turns the one into the other
_UV_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", NO_INDEX)
_UV_KEYS = {"index", "index-url", "extra-index-url", "find-links", "no-index"}


def index_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment to run uv in: ``environment``, with pip's indexes handed to uv where uv has none of its own.

    pip takes the best version of all its indexes together, so its extra indexes come with uv's strategy that does the
    same. pip's certificate bundle is honoured in any case.
    """
    env = dict(os.environ if environment is None else environment)
    pip = pip_settings(env)
    if "cert" in pip:
        env.setdefault("SSL_CERT_FILE", pip["cert"])
    if any(env.get(name) for name in _UV_VARIABLES) or any(_UV_KEYS & table.keys() for table in uv_tables(env)):
        return env
    _copy(env, "UV_DEFAULT_INDEX", pip.get("index-url"))
    _copy(env, "UV_INDEX", " ".join(_present(pip.get("extra-index-url", ""))))
    _copy(env, "UV_FIND_LINKS", ",".join(_present(pip.get("find-links", ""))))
    _copy(env, "UV_INSECURE_HOST", " ".join(pip.get("trusted-host", "").split()))
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        env[NO_INDEX] = "1"
    if "UV_INDEX" in env or "UV_FIND_LINKS" in env:
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return env


def _copy(env: dict[str, str], name: str, value: str | None) -> None:
    if value:
        env[name] = value


def _present(places: str) -> list[str]:
    """The URLs and folders of a setting, without folders that do not exist: pip passes over those, uv stops at them."""
    return [place for place in places.split() if _is_present(place)]


def _is_present(place: str) -> bool:
    parts = urlsplit(place)
    return parts.scheme not in ("", "file") or Path(unquote(parts.path)).expanduser().exists()


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's settings by their long names: its files from the widest to the nearest, then ``PIP_*`` variables."""
    settings: dict[str, str] = {}
    for path in _pip_files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself reports a broken file better than a builder of images could
        for section in ("global", "install"):
            settings.update(parser.items(section) if parser.has_section(section) else [])
    prefix = "PIP_"
    for name, value in environment.items():
        if name.startswith(prefix) and value:
            settings[name.removeprefix(prefix).lower().replace("_", "-")] = value
    return settings


def _pip_files(environment: Mapping[str, str]) -> list[Path]:
    home = Path(environment.get("HOME") or Path.home())
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder) / "pip/pip.conf" for folder in shared.split(":") if folder]
    files += [Path("/Library/Application Support/pip/pip.conf"), Path("/etc/pip.conf")]
    files += [home / ".pip/pip.conf", home / "Library/Application Support/pip/pip.conf"]
    files.append(Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf")
    files.append(Path(sys.prefix) / "pip.conf")
    named = environment.get("PIP_CONFIG_FILE")
    return [*files, Path(named)] if named else files


def uv_tables(environment: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """uv's configuration tables in force: the named file, or the project's, the user's and the system's."""
    home = Path(environment.get("HOME") or Path.home())
    named = environment.get("UV_CONFIG_FILE")
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "uv/uv.toml"
    here = Path.cwd()
    files = [Path(named)] if named else [folder / "uv.toml" for folder in (here, *here.parents)]
    for path in [*files, here / "pyproject.toml", user, Path("/etc/uv/uv.toml")]:
        if not path.is_file():
            continue
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            continue  # uv reports it with the line
        table = table.get("tool", {}).get("uv", {}) if path.name == "pyproject.toml" else table
        yield {**table, **table.get("pip", {})}


class Credentials:
    """User names and passwords for index hosts: from the indexes' own URLs, uv's variables and the netrc file."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._by_origin: dict[tuple[str, int | None], tuple[str, str]] = {}
        for url in _index_urls(environment):
            parts = urlsplit(url)
            if parts.hostname and parts.username is not None:
                pair = unquote(parts.username), unquote(parts.password or "")
                self._by_origin[parts.hostname, parts.port] = pair
        self._netrc = _read_netrc(environment)

    def find(self, url: str) -> tuple[str, str] | None:
        """The user and password for the host of ``url``."""
        parts = urlsplit(url)
        if not parts.hostname:
            return None
        if parts.username is not None:
            return unquote(parts.username), unquote(parts.password or "")
        own = self._by_origin.get((parts.hostname, parts.port))
        if own or self._netrc is None:
            return own
        login = self._netrc.authenticators(parts.hostname)
        return (login[0], login[2] or "") if login else None


def _index_urls(environment: Mapping[str, str]) -> Iterable[str]:
    for name in _UV_VARIABLES[:5]:
        for word in environment.get(name, "").replace(",", " ").split():
            yield word.partition("=")[2] if "=" in word.partition("://")[0] else word
    for table in uv_tables(environment):
        yield from (table[key] for key in ("index-url",) if isinstance(table.get(key), str))
        yield from table.get("extra-index-url", [])
        yield from (_with_variables(index, environment) for index in table.get("index", []))


def _with_variables(index: dict[str, str], environment: Mapping[str, str]) -> str:
    """The URL of a named index with ``UV_INDEX_<NAME>_USERNAME`` and ``_PASSWORD`` filled in."""
    url, name = str(index.get("url", "")), str(index.get("name", "")).upper()
    stem = "".join(letter if letter.isalnum() else "_" for letter in name)
    user = environment.get(f"UV_INDEX_{stem}_USERNAME")
    if not name or user is None:
        return url
    password = environment.get(f"UV_INDEX_{stem}_PASSWORD", "")
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}:{password}@{rest}"


def _read_netrc(environment: Mapping[str, str]) -> netrc.netrc | None:
    path = Path(environment.get("NETRC") or Path(environment.get("HOME") or Path.home()) / ".netrc")
    try:
        return netrc.netrc(str(path))
    except (OSError, netrc.NetrcParseError):
        return None
