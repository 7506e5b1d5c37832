"""Who may ask: Host headers against DNS rebinding, origins against cross-site requests."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from penstock.server.context import ServerOptions
from penstock.serving.http.types import RequestHead, Response

_EXEMPT = ("/health", "/version")
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_TEXT = ("content-type", "text/plain; charset=utf-8")


class Guard:
    """Judges requests by what the server was told to allow."""

    def __init__(self, options: ServerOptions) -> None:
        self._on = options.security
        self._hosts = options.allowed_hosts
        self._any_host = "*" in options.allowed_hosts
        self._origins = options.cors_allowed_origins
        self._exempt = tuple(f"{options.static_prefix}{path}" for path in _EXEMPT)
        self._frame = options.x_frame_options.upper()
        self._known: set[str] = set()

    def refuse(self, head: RequestHead) -> Response | None:
        """The refusal, or None when the request may go on."""
        if not self._on or head.path in self._exempt:
            return None
        host = (head.headers.get("host") or "").lower()
        if not (self._any_host or host in self._known or self._host_allowed(host)):
            return Response(403, b"Invalid Host header - possible DNS rebinding attack detected", [_TEXT])
        origin = head.headers.get("origin")
        if origin and head.method in _CHANGING and not self._origin_allowed(origin):
            return Response(403, b"Cross-origin request blocked", [_TEXT])
        return None

    def preflight(self, head: RequestHead) -> Response:
        """The answer to OPTIONS."""
        return Response(204, b"", self.headers(head))

    def headers(self, head: RequestHead) -> list[tuple[str, str]]:
        """What every answer carries besides its own headers."""
        found = [("x-content-type-options", "nosniff")]
        if self._frame and self._frame != "NONE":
            found.append(("x-frame-options", self._frame))
        origin = head.headers.get("origin")
        if origin and self._origin_allowed(origin):
            anyone = "*" in self._origins
            found += [
                ("access-control-allow-origin", "*" if anyone else origin),
                ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS, PATCH"),
                ("access-control-allow-headers", head.headers.get("access-control-request-headers") or "*"),
                ("vary", "origin"),
            ]
            if not anyone:
                found.append(("access-control-allow-credentials", "true"))
        return found

    def _host_allowed(self, host: str) -> bool:
        allowed = any(_matches(host, pattern) for pattern in self._hosts) if self._hosts else is_near(host)
        if allowed and len(self._known) < 1000:
            self._known.add(host)
        return allowed

    def _origin_allowed(self, origin: str) -> bool:
        if "*" in self._origins:
            return True
        try:
            name = urlsplit(origin).hostname
        except ValueError:
            return False
        if name in ("localhost", "127.0.0.1", "::1"):
            return True
        return any(_matches(origin, pattern) for pattern in self._origins)


def is_near(host: str) -> bool:
    """Whether a Host header names this machine or a private address.

    A name is near only when it is 'localhost': MLflow's pattern '10.*' also matches the name 10.evil.example, which is
    what DNS rebinding needs.
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


def _matches(text: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.lower().split("*")), text.lower()) is not None
