"""The table of routes: what each method and path asks for, and whether it reads or writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from penstock.server.fields import Field
from penstock.server.shapes import Decoder

_PREFIXES = ("/api/", "/ajax-api/")


class Work(Enum):
    """Where a handler runs: among the readers, in the writer, merged with other batches, or over a stream."""

    READ = auto()
    WRITE = auto()
    BATCH = auto()
    STREAM = auto()


class Route(Struct, frozen=True, kw_only=True):
    """One operation. ``path`` follows /api/ and /ajax-api/ and may hold ``{names}``; ``{path}`` takes all the rest."""

    method: str
    path: str
    handler: Callable[..., Any]
    fields: tuple[Field, ...] = ()
    work: Work = Work.READ
    bare: bool = False
    max_body_bytes: int = 32 << 20
    decoder: Decoder | None = None


class Found(Struct, frozen=True):
    """A route and what its path's names stand for."""

    route: Route
    names: dict[str, str]


def reads(path: str, handler: Callable[..., Any], *fields: Field, method: str = "GET") -> Route:
    """A route that only reads."""
    return Route(method=method, path=path, handler=handler, fields=fields)


def writes(path: str, handler: Callable[..., Any], *fields: Field, method: str = "POST") -> Route:
    """A route that changes something."""
    return Route(method=method, path=path, handler=handler, fields=fields, work=Work.WRITE)


class Routes:
    """Finds routes by method and path."""

    def __init__(self, routes: Iterable[Route], *, static_prefix: str = "") -> None:
        self._static: dict[str, dict[str, Route]] = {}
        self._templates: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        grouped: dict[str, dict[str, Route]] = {}
        for route in routes:
            for path in _full_paths(route, static_prefix):
                grouped.setdefault(path, {})[route.method] = route
        for path, methods in grouped.items():
            if "{" in path:
                self._templates.append((_pattern(path), methods))
            else:
                self._static[path] = methods

    def find(self, method: str, path: str) -> Found | None:
        """The route for ``path`` (still percent-encoded), or None. HEAD finds GET's."""
        wanted = "GET" if method == "HEAD" else method
        methods = self._static.get(path)
        if methods is not None:
            route = methods.get(wanted)
            return Found(route, {}) if route else None
        for pattern, methods in self._templates:
            match = pattern.fullmatch(path)
            if match is not None and wanted in methods:
                names = {key: unquote(value, errors="replace") for key, value in match.groupdict().items()}
                return Found(methods[wanted], names)
        return None

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that ``path`` knows; none for a path nobody knows."""
        known = set(self._static.get(path, {}))
        for pattern, methods in self._templates:
            if pattern.fullmatch(path):
                known |= methods.keys()
        return tuple(sorted(known))


def _full_paths(route: Route, static_prefix: str) -> list[str]:
    if route.bare:
        return [f"{static_prefix}{route.path}"]
    paths = [f"{static_prefix}{prefix}{route.path}" for prefix in _PREFIXES]
    if route.path.startswith("2.0/mlflow/"):  # MLflow 1.x spoke to this form too
        paths += [f"{static_prefix}{prefix}2.0/preview/{route.path[4:]}" for prefix in _PREFIXES]
    if static_prefix and "mlflow-artifacts/artifacts/" in route.path:  # MLflow's clients leave the prefix out here
        paths += [f"{prefix}{route.path}" for prefix in _PREFIXES]
    return paths


def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path).replace(r"\{path\}", "(?P<path>.*)")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", text), re.DOTALL)
