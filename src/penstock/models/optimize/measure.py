"""How long both forms take for batches of several sizes."""

from __future__ import annotations

import statistics
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
    """The median time of each form at each size; the forms take turns, so that a busy moment hits both.

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
        medians = [round(statistics.median(taken), 2) for taken in times]
        found.append(BatchSpeed(size, *medians))
    return tuple(found)


def _call_us(answer: Callable[[Any], Any], batch: Any) -> float:
    """Microseconds of one call: the mean over about ROUND_SECONDS of calls, one call at least."""
    calls, begun = 0, time.perf_counter()
    while (taken := time.perf_counter() - begun) < ROUND_SECONDS or not calls:
        answer(batch)
        calls += 1
    return taken / calls * 1e6
