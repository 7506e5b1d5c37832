"""How far the transfers of one image are together, and the word that stops them."""

from __future__ import annotations

import threading

from penstock.ground.errors import Unavailable
from penstock.ground.progress import Phase


class Stopped(Unavailable):
    """Another transfer of the same image failed."""

    retryable = False


class Tally:
    """How far all transfers of one image are, told to one phase from many threads."""

    def __init__(self, phase: Phase, total_bytes: int) -> None:
        self._phase = phase
        self._total_bytes = total_bytes
        self._done: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def at(self, digest: str, done_bytes: int) -> None:
        """``done_bytes`` of that blob are done. Raises Stopped when the others were stopped."""
        if self._stopped.is_set():
            raise Stopped
        with self._lock:
            self._done[digest] = done_bytes
            self._phase.advance(sum(self._done.values()), self._total_bytes)

    def stop(self) -> None:
        """Makes every transfer end at its next piece."""
        self._stopped.set()
