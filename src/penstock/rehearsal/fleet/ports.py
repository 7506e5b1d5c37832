"""Loopback ports for containers: picked below the range the kernel gives out, so that nobody else is given them."""

from __future__ import annotations

import random
import socket
from contextlib import closing

from penstock.ground.errors import QuotaExceeded

_FIRST, _LAST = 18_000, 31_999
_TRIES = 500


class Ports:
    """Hands out ports that are free on every address, each to one container at a time."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, wanted: int | None = None) -> int:
        """A free port, or ``wanted`` if that is free. Raises QuotaExceeded."""
        for _ in range(_TRIES if wanted is None else 1):
            port = random.randint(_FIRST, _LAST) if wanted is None else wanted
            if port not in self._taken and _is_free(port):
                self._taken.add(port)
                return port
        raise QuotaExceeded(
            f"The port {wanted} is in use." if wanted else "No port is free for another container.",
            fix="Free it, or build the image with the accept-bind-to-port label." if wanted else "Delete an endpoint.",
        )

    def give_back(self, port: int) -> None:
        self._taken.discard(port)


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
