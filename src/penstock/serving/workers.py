"""Several processes that answer on one socket: forked after the model is loaded, replaced when they die."""

from __future__ import annotations

import gc
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from penstock.serving.keeper import Keeper
from penstock.serving.metrics import Metrics

SHORT_LIFE_S = 2.0
MOST_SHORT_LIVES = 10
LONGEST_PAUSE_S = 5.0
_STOPS = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[int, Keeper], None]


class Supervisor:
    """Forks ``count`` workers that each run ``work``, and lives until told to stop."""

    def __init__(self, count: int, work: Work, *, metrics: Metrics, drain_s: float, say: Callable[[str], None]) -> None:
        self._count = count
        self._work = work
        self._metrics = metrics
        self._drain_s = drain_s
        self._say = say
        self._workers: dict[int, tuple[int, Keeper, float]] = {}  # number -> process id, keeper, start
        self._due: dict[int, float] = {}  # number -> when to fork it again
        self._short_lives = 0
        self._selector = selectors.DefaultSelector()
        self._stopping = False

    def run(self) -> int:
        """Gives the exit code: 0 when told to stop, 1 when the workers do not stay alive."""
        _raise_file_limit()
        gc.freeze()  # the collector leaves alone what is there now, so its pages stay shared
        wake, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        for each in _STOPS:
            signal.signal(each, self._stop)
        self._selector.register(wake, selectors.EVENT_READ)
        for number in range(self._count):
            self._fork(number)
        while not self._stopping and self._short_lives < MOST_SHORT_LIVES:
            self._wait(wake)
        if not self._stopping:
            self._say(f"{self._short_lives} workers in a row ended within {SHORT_LIFE_S:g} s; giving up")
        self._end()
        return 0 if self._stopping else 1

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _fork(self, number: int) -> None:
        keeper = Keeper()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # a stop must not reach the child while it has our handlers
        process = os.fork()
        if process == 0:
            self._become_worker(number, keeper)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        keeper.workers.close()
        self._workers[number] = (process, keeper, time.monotonic())
        self._selector.register(keeper.mine, selectors.EVENT_READ, number)

    def _become_worker(self, number: int, keeper: Keeper) -> None:
        """In the child: never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in _STOPS:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            self._selector.close()
            for _, other, _ in self._workers.values():
                other.close()
            keeper.close()
            self._metrics.use(number)
            self._work(number, keeper)
            code = 0
        except BaseException as error:  # noqa: BLE001 - nothing may run on in the child of a fork
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait(self, wake: socket.socket) -> None:
        """One turn: messages, deaths, and forks that are due."""
        now = time.monotonic()
        pause = min((due - now for due in self._due.values()), default=None)
        for key, _ in self._selector.select(None if pause is None else max(pause, 0)):
            if key.fileobj is wake:
                wake.recv(64)
            elif not self._workers[key.data][1].receive():
                self._bury(key.data)
        for number, due in list(self._due.items()):
            if due <= time.monotonic() and not self._stopping:
                del self._due[number]
                self._fork(number)

    def _bury(self, number: int) -> None:
        """A worker is gone: answers what it owed, and has it forked again, the later the shorter it lived."""
        process, keeper, born = self._workers.pop(number)
        self._selector.unregister(keeper.mine)
        owed = keeper.answer_owed()
        keeper.close()
        _, status = os.waitpid(process, 0)
        if self._stopping:
            return
        lived_s = time.monotonic() - born
        self._short_lives = self._short_lives + 1 if lived_s < SHORT_LIFE_S else 0
        pause_s = min(0.1 * 2**self._short_lives, LONGEST_PAUSE_S) if self._short_lives else 0.0
        self._due[number] = time.monotonic() + pause_s
        self._metrics.restarted()
        self._say(f"worker {number} (process {process}) {_ending(status)}; {owed} requests got an error; replacing it")

    def _end(self) -> None:
        """Asks all to drain, and kills those that do not end in time."""
        for process, _, _ in self._workers.values():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + self._drain_s + 2.0
        while self._workers and time.monotonic() < deadline:
            for key, _ in self._selector.select(max(deadline - time.monotonic(), 0)):
                if key.data is not None and not self._workers[key.data][1].receive():
                    self._bury(key.data)
        for process, _, _ in self._workers.values():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _raise_file_limit() -> None:
    """As many open files as we may have: each connection is open twice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
