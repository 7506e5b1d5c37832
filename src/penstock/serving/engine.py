"""The engine: who is predicted when, with whom, and where.

Requests that are there in the same turn of the loop, or that came while a prediction ran, are predicted together, when
the model was proven to give each its lone answer. Quick predictions run in the loop's own thread; slow ones, and those
not known well, in one other thread, so that pings are answered meanwhile. Which is which is measured, by batch size.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import Struct

from penstock.ground.errors import InternalError, PenstockError, TimedOut, Unavailable
from penstock.models.optimize.predictor import OriginalNeeded
from penstock.serving.http.types import Promise, Response
from penstock.serving.metrics import Metrics
from penstock.serving.payload import Payload
from penstock.serving.predictor import Predictor
from penstock.serving.proof import batching_refused
from penstock.serving.rows import split

DIRECT_S = 20e-6  # below this, waiting for company costs more than predicting alone
INLINE_S = 2e-3  # the longest that other connections wait for the loop
KNOWN_CALLS = 32  # so many calls must have been quick before one may keep the loop
LONE_CALLS = 32  # so many in a row came alone: the next is not held back either
PROBE_CALLS = 16  # but every so many one is, to see whether there is company again
SURPRISE_S = 50e-3  # a call this long in a size that was quick: not to be trusted for long
DISTRUST_CALLS = 1024
WATCH_S = 0.1
SMOOTHING = 0.2
NEVER = float("inf")


class Costs:
    """What predictions cost by size (rows, in powers of two): a smoothed time, once it is known well enough."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, float]] = {}

    def add(self, rows: int, seconds: float) -> None:
        """Takes in one measured call."""
        size = rows.bit_length()
        calls, smoothed = self._known.get(size, (0, seconds))
        if seconds > SURPRISE_S:
            calls = -DISTRUST_CALLS if calls >= KNOWN_CALLS else 0
        self._known[size] = (calls + 1, smoothed + SMOOTHING * (seconds - smoothed))

    def of(self, rows: int) -> float:
        """Seconds; infinite while too little is known."""
        calls, smoothed = self._known.get(rows.bit_length(), (0, NEVER))
        return smoothed if calls >= KNOWN_CALLS else NEVER


Encode = Callable[[Any], Response]
Result = TypeVar("Result")


class EngineLimits(Struct, frozen=True, kw_only=True):
    """How much waits and for how long. ``batch_wait_s`` holds a request back for company; 0 never does."""

    queue_requests: int = 1024
    batch_rows: int = 512
    batch_wait_s: float = 0.0
    timeout_s: float = 60.0
    batching: bool = True


class Ticket(Promise):
    """One request in the queue: its payload (or any other work), how to encode its answer, and when it is too late."""

    __slots__ = ("deadline", "encode", "payload", "rows", "work")

    def __init__(
        self, payload: Payload | None, work: Callable[[], Response] | None, encode: Encode | None, deadline: float
    ) -> None:
        self.outcome = self.watch = self._listener = None  # as Promise does, without the call
        self.payload = payload
        self.work = work
        self.encode = encode
        self.deadline = deadline
        self.rows = 0 if payload is None or payload.rows is None or payload.params else len(payload.rows)


class Engine:
    """Predicts for one model, from one event loop."""

    def __init__(self, predictor: Predictor, limits: EngineLimits, metrics: Metrics) -> None:
        self._predictor = predictor
        self._limits = limits
        self._batch_rows = min(limits.batch_rows, predictor.most_rows_together)
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Ticket] = deque()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="penstock-predict")
        self._running: list[Ticket] = []
        self._scheduled = False
        self._watching = False  # there is one watch, not one for each run
        self._batching = False
        self._costs = Costs()
        self._lone = 0  # how many predictions in a row were for one request
        self.batching_refused: str | None = "not tried yet"

    async def prove(self) -> str | None:
        """Tries whether batching is exact, away from the loop; gives the reason against it or None."""
        refused = "it is switched off"
        if self._limits.batching:
            found = await self._loop.run_in_executor(self._executor, self._patiently, self._refused)
            refused = found or ""
        self.batching_refused = refused or None
        self._batching = not refused
        return self.batching_refused

    def close(self) -> None:
        """Lets go of the thread; queued work is not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def submit(self, payload: Payload, encode: Encode) -> Response | Promise:
        """The answer at once where that is quickest, else its promise. Raises Unavailable when the queue is full."""
        if self._queue or self._running or not self._is_direct(payload):
            return self._enqueue(payload, None, encode)
        started = time.perf_counter()
        try:
            predictions = self._predictor.predict(payload)
        except OriginalNeeded:
            return self._enqueue(payload, None, encode)
        self._measured(0 if payload.rows is None else len(payload.rows), time.perf_counter() - started, 1)
        return encode(predictions)

    def submit_work(self, work: Callable[[], Response]) -> Promise:
        """The promise of what ``work`` returns, done away from the loop: for bodies too large to decode in it."""
        return self._enqueue(None, work, None)

    def predict(self, payload: Payload) -> Any:
        """The prediction itself, for ``work`` on the engine's thread."""
        return self._patiently(lambda: self._predictor.predict(payload))

    def _is_direct(self, payload: Payload) -> bool:
        rows = 0 if payload.rows is None else len(payload.rows)
        cost = self._costs.of(rows)
        if cost < DIRECT_S or not (self._batching and rows and not payload.params):
            return cost < INLINE_S
        lone = self._lone > LONE_CALLS and self._lone % PROBE_CALLS != 0 and not self._limits.batch_wait_s
        return lone and cost < INLINE_S

    def _enqueue(self, payload: Payload | None, work: Callable[[], Response] | None, encode: Encode | None) -> Promise:
        if len(self._queue) >= self._limits.queue_requests:
            self._metrics.refused()
            raise Unavailable(
                f"{len(self._queue)} requests are waiting already.", fix="Ask again in a moment, or add workers."
            )
        ticket = Ticket(payload, work, encode, self._loop.time() + self._limits.timeout_s)
        self._queue.append(ticket)
        if self._running:
            self._metrics.queued(len(self._queue))
        else:
            self._schedule()
        return ticket

    def _schedule(self) -> None:
        if self._scheduled or self._running or not self._queue:
            return
        self._scheduled = True
        if self._batching and self._limits.batch_wait_s:
            self._loop.call_later(self._limits.batch_wait_s, self._flush)
        else:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Predicts for the first in the queue and for those who can go with it."""
        self._scheduled = False
        batch = self._next_batch()
        if batch:
            rows = sum(ticket.rows for ticket in batch)
            if batch[0].work is not None or self._costs.of(rows) >= INLINE_S:
                self._run_aside(batch)
            else:
                self._answer_here(batch)
        self._metrics.queued(len(self._queue))
        self._schedule()

    def _answer_here(self, batch: list[Ticket]) -> None:
        try:
            answers = self._answers(batch)
        except OriginalNeeded:
            self._run_aside(batch)
        else:
            self._deliver(batch, answers)

    def _next_batch(self) -> list[Ticket]:
        now, queue = self._loop.time(), self._queue
        batch: list[Ticket] = []
        rows = 0
        while queue:
            ticket = queue[0]
            if batch and (rows + ticket.rows > self._batch_rows or not self._goes_with(ticket, batch[0])):
                break
            queue.popleft()
            if ticket.deadline < now:
                self._too_late(ticket)
                continue
            batch.append(ticket)
            rows += ticket.rows
        return batch

    def _goes_with(self, ticket: Ticket, first: Ticket) -> bool:
        mine, theirs = ticket.payload, first.payload
        if not self._batching or not ticket.rows or not first.rows or mine is None or theirs is None:
            return False
        return mine.names == theirs.names and type(mine.rows) is type(theirs.rows)

    def _run_aside(self, batch: list[Ticket]) -> None:
        self._running = batch
        self._metrics.running(len(batch))
        done = self._loop.run_in_executor(self._executor, self._answers_aside, batch)
        done.add_done_callback(self._ran_aside)
        if not self._watching:
            self._watching = True
            self._loop.call_later(WATCH_S, self._watch)

    def _ran_aside(self, done: asyncio.Future[list[Response | Exception]]) -> None:
        batch, self._running = self._running, []
        self._metrics.running(0)
        if not done.cancelled():
            self._deliver(batch, done.result())
        self._schedule()

    def _watch(self) -> None:
        """While a prediction runs aside: answers those whose time is up, and comes again."""
        now = self._loop.time()
        for ticket in (*self._running, *self._queue):
            if ticket.deadline < now and ticket.outcome is None:
                self._too_late(ticket)
        self._watching = bool(self._running)
        if self._watching:
            self._loop.call_later(WATCH_S, self._watch)

    def _too_late(self, ticket: Ticket) -> None:
        seconds = self._limits.timeout_s
        error = TimedOut(f"There was no answer within {seconds:g} s.", fix="Send less at a time, or add workers.")
        ticket.keep(error)

    def _deliver(self, batch: list[Ticket], answers: list[Response | Exception]) -> None:
        for ticket, answer in zip(batch, answers, strict=True):
            try:
                ticket.keep(answer)
            except Exception as error:  # noqa: BLE001 - one connection's trouble must not keep the others' answers
                self._loop.call_exception_handler({"message": "an answer was not delivered", "exception": error})

    # -- on the engine's thread

    def _answers_aside(self, batch: list[Ticket]) -> list[Response | Exception]:
        try:
            return self._patiently(lambda: self._answers(batch))
        except Exception as error:  # noqa: BLE001 - the original does not load: that is their answer
            return [error] * len(batch)

    def _refused(self) -> str | None:
        return batching_refused(self._predictor)

    def _patiently(self, work: Callable[[], Result]) -> Result:
        """What ``work`` gives, once the original is loaded if it needs that."""
        try:
            return work()
        except OriginalNeeded:
            self._predictor.load_original()
            return work()

    # -- on whichever thread predicts

    def _answers(self, batch: list[Ticket]) -> list[Response | Exception]:
        """One response or exception for each ticket."""
        if len(batch) > 1:
            together = self._together(batch)
            if together is not None:
                return together
        return [self._alone(ticket) for ticket in batch]

    def _together(self, batch: list[Ticket]) -> list[Response | Exception] | None:
        """The answers of one common prediction; None when it fails, for then each is asked alone."""
        payloads = [ticket.payload for ticket in batch if ticket.payload is not None]
        merged = Payload(self._predictor.table([payload.rows for payload in payloads]), payloads[0].names)
        if not self._predictor.may_go_together(merged.rows):
            return None
        counts = [ticket.rows for ticket in batch]
        started = time.perf_counter()
        try:
            predictions = self._predictor.predict(merged)
        except PenstockError:
            return None
        self._measured(sum(counts), time.perf_counter() - started, len(batch))
        parts = split(predictions, counts)
        if parts is None:
            return None
        return [_encoded(ticket, part) for ticket, part in zip(batch, parts, strict=True)]

    def _alone(self, ticket: Ticket) -> Response | Exception:
        try:
            if ticket.work is not None:
                return ticket.work()
            assert ticket.payload is not None
            started = time.perf_counter()
            predictions = self._predictor.predict(ticket.payload)
            rows = 0 if ticket.payload.rows is None else len(ticket.payload.rows)
            self._measured(rows, time.perf_counter() - started, 1)
        except OriginalNeeded:
            raise
        except Exception as error:  # noqa: BLE001 - it is this request's answer
            return error
        return _encoded(ticket, predictions)

    def _measured(self, rows: int, seconds: float, requests: int) -> None:
        """Remembers what a prediction of this many rows costs, and whether it had company."""
        self._lone = self._lone + 1 if requests == 1 else 0
        self._metrics.predicted(rows, requests, seconds)
        self._costs.add(rows, seconds)


def _encoded(ticket: Ticket, predictions: Any) -> Response | Exception:
    if ticket.encode is None:
        return InternalError("A ticket has neither work nor an encoder.")
    try:
        return ticket.encode(predictions)
    except Exception as error:  # noqa: BLE001 - it is this request's answer
        return error
