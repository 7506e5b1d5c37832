"""The thread that sends what was logged, so that a training loop never waits for a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from penstock.api.recording.delivery import deliver
from penstock.api.recording.identities import Identities
from penstock.api.recording.operations import Operation, Sink, cut
from penstock.api.recording.spool import Spool
from penstock.ground.errors import PenstockError, TimedOut, Unavailable

_RETRY_SECONDS = 5.0
_MOST_WAITING = 1_000_000


class Recorder:
    """A queue in front of ``sink``. While one batch is under way the next gathers; order is kept.

    When the sink is Unavailable, operations go to ``spool`` and, when it answers again, from there to it. What the
    sink refuses is raised by the next ``flush``.
    """

    def __init__(
        self, sink: Sink, *, spool: Spool | None, tracking_uri: str, identities: Identities | None = None
    ) -> None:
        self._sink = sink
        self._identities = identities
        self._spool = spool
        self._tracking_uri = tracking_uri
        self._changed = threading.Condition()
        self._waiting: list[Operation] = []
        self._busy = False
        self._thread: threading.Thread | None = None
        self._refused: list[PenstockError] = []
        self._away_until = 0.0

    def caught_up(self) -> bool:
        """Whether nothing waits on disk; what does is sent first, if the sink answers."""
        return not self.is_spooling or self._drained()

    def keep(self, local: Path) -> str:
        """The name of a copy of the file ``local`` that an operation can be recorded with. Raises StorageFailed."""
        assert self._spool is not None
        return self._spool.keep(local)

    @property
    def is_spooling(self) -> bool:
        """Whether something waits on disk for the server to come back."""
        return self._spool is not None and not self._spool.is_empty()

    def record(self, operation: Operation) -> None:
        """Queues the operation and returns at once (only a queue of a million makes it wait)."""
        with self._changed:
            while len(self._waiting) >= _MOST_WAITING:
                self._changed.wait()
            self._waiting.append(operation)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="penstock-recorder", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, *, timeout_seconds: float | None = None) -> None:
        """Returns once all that was recorded has been sent or spooled. Raises what was refused since the last flush.

        Raises TimedOut when that takes longer than ``timeout_seconds``.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_seconds):
                raise TimedOut("The server is slow: logged values are still on their way.", fix="Flush again.")
            refused, self._refused = self._refused, []
        if refused:
            raise refused[0]

    def close(self) -> None:
        """Flushes, and tries once more to send what is spooled. What stays on disk is for ``penstock sync``."""
        self.flush()
        if self.is_spooling:
            self._away_until = 0.0
            self._drained()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                taken, self._waiting = self._waiting, []
                self._busy = True
            try:
                self._deliver(list(cut(taken)))
            except PenstockError as error:  # a disk that is full: the next flush raises it
                self._refused.append(error)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _deliver(self, operations: Sequence[Operation]) -> None:
        """Sends the operations behind those that are spooled, or spools them too."""
        if self.is_spooling and not self._drained():
            self._keep(operations)
            return
        for index, operation in enumerate(operations):
            try:
                self._refused.extend(deliver(operation, self._sink))
                if self._spool is not None:
                    self._spool.let_go(operation)
            except Unavailable as error:
                if self._spool is None:
                    self._refused.append(error)
                    return
                self._away_until = time.monotonic() + _RETRY_SECONDS
                self._keep(operations[index:])
                return

    def _keep(self, operations: Sequence[Operation]) -> None:
        assert self._spool is not None
        if self._identities is not None:  # for a `penstock sync` of another process
            self._identities.save()
        self._spool.append(operations, self._tracking_uri)

    def _drained(self) -> bool:
        """Whether the spool could be sent to its end."""
        assert self._spool is not None
        if time.monotonic() < self._away_until:
            return False
        with self._spool.held():
            try:
                for operation, mark in self._spool.waiting():
                    self._refused.extend(deliver(operation, self._sink))
                    self._spool.acknowledge(mark)
                    self._spool.let_go(operation)
            except Unavailable:
                self._away_until = time.monotonic() + _RETRY_SECONDS
                return False
            self._spool.remove()
        return True
