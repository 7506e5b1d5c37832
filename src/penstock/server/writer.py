"""Group commit: one thread that puts whatever writes are waiting into one transaction.

Each caller hears of its own outcome, and hears of success only after the transaction is on disk. While one group is
being synced the next one gathers, so the cost of a sync is shared by all that wait for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from msgspec import Struct

from penstock.ground.errors import PenstockError
from penstock.store.batches import RunBatch, write_batches
from penstock.store.database import Session
from penstock.store.open import Store

MAX_GROUP = 256
Outcome = Any


class Waiting(Struct):
    """A write in the queue: a batch to be merged with others, or work of its own."""

    work: RunBatch | Callable[[], Any]
    answer: asyncio.Future[Any]


class Writer:
    """The thread and its queue. ``submit`` is called on the event loop; ``close`` writes what waits, then stops."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="penstock-writer", daemon=True)
        self._thread.start()

    def submit(self, work: RunBatch | Callable[[], Any]) -> asyncio.Future[Any]:
        """A future of what ``work`` gives back (None for a batch), done once it is on disk."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Waiting(work, answer))
        return answer

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group = [self._queue.get()]
            while len(group) < MAX_GROUP and not self._queue.empty():
                group.append(self._queue.get())
            going = None not in group
            waiting = [each for each in group if each is not None]
            if waiting:
                outcomes = commit(self._store, [each.work for each in waiting])
                self._loop.call_soon_threadsafe(_tell, list(zip(waiting, outcomes, strict=True)))


def commit(store: Store, works: Sequence[RunBatch | Callable[[], Any]]) -> list[Outcome]:
    """For each work its result or its error, all that succeeded stored in one transaction.

    When the whole group fails, each work is tried alone, so that one work's failure is its own.
    """
    try:
        return store.database.write(lambda session: _together(session, works))
    except Exception as error:  # noqa: BLE001  every waiting caller is told, whatever it was
        if len(works) == 1:
            return [error]
    return [outcome for work in works for outcome in commit(store, [work])]


def _together(session: Session, works: Sequence[RunBatch | Callable[[], Any]]) -> list[Outcome]:
    outcomes: list[Outcome] = [None] * len(works)
    batches = [(index, work) for index, work in enumerate(works) if isinstance(work, RunBatch)]
    if batches:
        errors = write_batches(session, [batch for _, batch in batches])
        for (index, _), error in zip(batches, errors, strict=True):
            outcomes[index] = error
    for index, work in enumerate(works):
        if not isinstance(work, RunBatch):
            outcomes[index] = _alone(work)
    return outcomes


def _alone(work: Callable[[], Any]) -> Outcome:
    """The work's result, or the error that undid this work alone; what undid more is raised."""
    try:
        return work()
    except PenstockError as error:
        if error.http_status >= 500:
            raise
        return error


def _tell(outcomes: list[tuple[Waiting, Outcome]]) -> None:
    for waiting, outcome in outcomes:
        if waiting.answer.done():
            continue
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)
