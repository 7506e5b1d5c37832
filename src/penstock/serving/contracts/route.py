"""A contract's routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from msgspec import Struct

from penstock.ground.errors import NotFound
from penstock.serving.http.types import Promise, Request, RequestHead, Response

Handler = Callable[[Request, dict[str, str]], "Response | Promise | Awaitable[Response]"]


class Route(Struct, frozen=True):
    """A method, a path with ``{name}`` parts, and who answers. ``counts_as`` is its row in the metrics."""

    method: str
    path: str
    handler: Handler
    counts_as: int = 2


class Routes:
    """Finds the route of a request: whole paths by one look-up, patterns in order."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {}).setdefault(route.method, route)
        for path, methods in by_path.items():
            if "{" in path:
                self._patterns.append((re.compile(_pattern(path)), methods))
            else:
                self._fixed[path] = methods

    def find(self, head: RequestHead) -> tuple[dict[str, Route], dict[str, str]]:
        """The routes of this path by method, and the path's named parts. Raises NotFound."""
        methods = self._fixed.get(head.path)
        if methods is not None:
            return methods, {}
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(head.path)
            if match:
                return methods, match.groupdict()
        raise NotFound(f"There is no route {head.path[:200]!r}.", fix="POST to /invocations; GET /ping.")


def _pattern(path: str) -> str:
    """``/v1/models/{model}:predict`` as a regular expression; a part holds anything but '/' and ':'."""
    literal = re.split(r"\{(\w+)\}", path)
    return "".join(f"(?P<{part}>[^/:]+)" if at % 2 else re.escape(part) for at, part in enumerate(literal))
