"""Runs transfers side by side: the first error stops the others, and Ctrl-C waits for no stalled socket.

The threads are daemons and not an executor's: an executor's are joined when the interpreter ends, however long they
wait for a registry that does not answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

Job = Callable[[], None]
_FAREWELL_SECONDS = 2.0


def run_all(jobs: Sequence[Job], *, threads: int, stop: Callable[[], None]) -> None:
    """Returns when all jobs are done; raises the first error, after ``stop``, which makes the others end soon."""
    waiting: SimpleQueue[Job] = SimpleQueue()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    workers = [
        threading.Thread(target=_work, args=(waiting, ended), name=f"penstock-oci-{number}", daemon=True)
        for number in range(min(threads, len(jobs)))
    ]
    for worker in workers:
        worker.start()
    try:
        for _ in jobs:
            error = ended.get()
            if error is not None:
                raise error
    except BaseException:
        stop()
        while _next(waiting) is not None:
            pass
        for worker in workers:
            worker.join(_FAREWELL_SECONDS / len(workers))
        raise


def _work(waiting: SimpleQueue[Job], ended: SimpleQueue[BaseException | None]) -> None:
    while (job := _next(waiting)) is not None:
        ended.put(_outcome(job))


def _next(waiting: SimpleQueue[Job]) -> Job | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


def _outcome(job: Job) -> BaseException | None:
    """What the job raised, for the thread that waits to raise again."""
    try:
        job()
    except BaseException as error:  # noqa: BLE001
        return error
    return None
