"""How long both forms take for batches of several sizes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from penstock.models.optimize.verdict import BatchSpeed

SIZES = (1, 16, 64, 128, 256, 1000)
ROUNDS = 5
ROUND_SECONDS = 0.01


def measure(
    original: Callable[[Any], Any], compiled: Callable[[Any], Any], batch_of: Callable[[int], Any]
) -> tuple[BatchSpeed, ...]:
    """The time of each form's quickest call at each size: whatever else runs on the machine only adds to a call.

    The forms take turns, so that a busy moment hits both. Busy medians sent batches of 1000 to a form three
    times as slow.

    ``batch_of`` gives an input of that many rows.
    """
    found = []
    for size in SIZES:
        batch = batch_of(size)
        times: tuple[list[float], list[float]] = ([], [])
        for answer in (original, compiled):
            answer(batch)  # first calls allocate
        for _ in range(ROUNDS):
            for answer, taken in zip((original, compiled), times, strict=True):
                taken.append(_call_us(answer, batch))
        found.append(BatchSpeed(size, *(round(min(taken), 2) for taken in times)))
    return tuple(found)


def _call_us(answer: Callable[[Any], Any], batch: Any) -> float:
    """Microseconds of the quickest call among those that fit into ROUND_SECONDS, one at least."""
    quickest, begun = float("inf"), time.perf_counter()
    now = begun
    while now - begun < ROUND_SECONDS or now == begun:
        answer(batch)
        before, now = now, time.perf_counter()
        quickest = min(quickest, now - before)
    return quickest * 1e6
