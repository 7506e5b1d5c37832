"""What is counted, in memory that all workers share, and its Prometheus text."""

from __future__ import annotations

import mmap
import os
import resource
from bisect import bisect_left
from collections.abc import Iterator

DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ROUTES = ("predict", "health", "other")
STATUSES = (200, 400, 404, 405, 408, 413, 415, 431, 500, 503, 504, 0)
_STATUS_PLACE = {status: place for place, status in enumerate(STATUSES)}
_REQUESTS = 0
_DURATION = _REQUESTS + len(ROUTES) * len(STATUSES)
_DURATION_SUM = _DURATION + len(DURATIONS_S) + 1
_ROWS = _DURATION_SUM + 1
_BATCHES = _ROWS + 1
_BATCHED = _BATCHES + 1
_PREDICT_SUM = _BATCHED + 1
_REFUSED = _PREDICT_SUM + 1
_QUEUE = _REFUSED + 1
_CPU = _QUEUE + 1
_RSS = _CPU + 1
_RESTARTS = _RSS + 1
_RUNNING = _RESTARTS + 1
_SIZE = _RUNNING + 1


class Metrics:
    """The counters of ``workers`` processes; made before they are forked, each then writes to its own row."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._all = memoryview(mmap.mmap(-1, max(workers * _SIZE * 8, mmap.PAGESIZE))).cast("d")
        self.use(0)

    def use(self, worker: int) -> None:
        """Count for this worker from here on."""
        self._mine = self._all[worker * _SIZE : (worker + 1) * _SIZE]

    def answered(self, route: int, status: int, seconds: float | None = None) -> None:
        """Counts one answer; ``route`` is a place in ROUTES, ``seconds`` the time a prediction's answer took."""
        mine = self._mine
        mine[_REQUESTS + route * len(STATUSES) + _STATUS_PLACE.get(status, len(STATUSES) - 1)] += 1
        if seconds is not None:
            mine[_DURATION + bisect_left(DURATIONS_S, seconds)] += 1
            mine[_DURATION_SUM] += seconds

    def predicted(self, rows: int, requests: int, seconds: float) -> None:
        """Counts one call of the model, for so many requests."""
        mine = self._mine
        mine[_ROWS] += rows
        mine[_BATCHES] += 1
        mine[_BATCHED] += requests
        mine[_PREDICT_SUM] += seconds

    def refused(self) -> None:
        """Counts a request that found the queue full."""
        self._mine[_REFUSED] += 1

    def restarted(self) -> None:
        """Counts a worker that was replaced; the supervisor counts in the first worker's row, where only it does."""
        self._all[_RESTARTS] += 1

    def queued(self, waiting: int) -> None:
        """States how many requests wait."""
        self._mine[_QUEUE] = waiting

    def running(self, requests: int) -> None:
        """States how many requests the model is working on, away from the loop."""
        self._mine[_RUNNING] = requests

    def text(self) -> str:
        """All workers' counters in Prometheus' text format."""
        self._mine[_CPU] = sum(os.times()[:2])
        self._mine[_RSS] = _resident_bytes()
        return "\n".join(self._lines()) + "\n"

    def _sum(self, place: int) -> float:
        return sum(self._all[worker * _SIZE + place] for worker in range(self._workers))

    def _lines(self) -> Iterator[str]:
        yield from _family("penstock_requests_total", "counter", "Answers by route and status.")
        for at, route in enumerate(ROUTES):
            for status_at, status in enumerate(STATUSES):
                count = self._sum(_REQUESTS + at * len(STATUSES) + status_at)
                if count:
                    yield f'penstock_requests_total{{route="{route}",code="{status or "other"}"}} {count:.0f}'
        yield from self._histogram()
        for name, kind, text, place in _SINGLE:
            yield from _family(name, kind, text)
            yield f"{name} {self._sum(place):.9g}"

    def _histogram(self) -> Iterator[str]:
        name = "penstock_request_duration_seconds"
        yield from _family(name, "histogram", "Time from a prediction request's last byte to its answer.")
        total = 0.0
        for place, bound in enumerate((*DURATIONS_S, "+Inf")):
            total += self._sum(_DURATION + place)
            yield f'{name}_bucket{{le="{bound}"}} {total:.0f}'
        yield f"{name}_sum {self._sum(_DURATION_SUM):.9g}"
        yield f"{name}_count {total:.0f}"


_SINGLE = (
    ("penstock_predicted_rows_total", "counter", "Rows the model answered.", _ROWS),
    ("penstock_predict_calls_total", "counter", "Calls of the model.", _BATCHES),
    ("penstock_predict_requests_total", "counter", "Requests those calls answered.", _BATCHED),
    ("penstock_predict_seconds_total", "counter", "Time spent in the model.", _PREDICT_SUM),
    ("penstock_queue_refused_total", "counter", "Requests that found the queue full.", _REFUSED),
    ("penstock_queue_requests", "gauge", "Requests that wait for the model.", _QUEUE),
    ("penstock_running_requests", "gauge", "Requests the model works on, away from the loop.", _RUNNING),
    ("penstock_worker_restarts_total", "counter", "Workers that died and were replaced.", _RESTARTS),
    ("process_cpu_seconds_total", "counter", "CPU time of the workers that were asked.", _CPU),
    ("process_resident_memory_bytes", "gauge", "Memory of the workers that were asked.", _RSS),
)


def _family(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _resident_bytes() -> float:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - the cheapest read of a proc file
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0.0
