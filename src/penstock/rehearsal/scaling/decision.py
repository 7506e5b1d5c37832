"""How much capacity a policy asks for, pure: numbers seen, numbers wanted.

Target tracking as AWS runs it: more capacity once three periods in a row were above the target, less once fifteen were
below nine tenths of it. Source: Application Auto Scaling user guide, target tracking and step scaling policies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

HIGH_PERIODS, LOW_PERIODS = 3, 15
LOW_SHARE = 0.9
COOLDOWN_SECONDS = 300


def is_high(history: Sequence[float], target: float) -> bool:
    """Whether the alarm that adds capacity would ring."""
    return len(history) >= HIGH_PERIODS and all(value > target for value in history[-HIGH_PERIODS:])


def is_low(history: Sequence[float], target: float) -> bool:
    """Whether the alarm that takes capacity away would ring."""
    return len(history) >= LOW_PERIODS and all(value < LOW_SHARE * target for value in history[-LOW_PERIODS:])


def tracked(history: Sequence[float], capacity: int, target: float) -> int:
    """The capacity that brings the metric to ``target``; ``history`` is a unit of capacity's share, a value a period.

    With ``capacity`` 2 and a target of 10, three periods at 25 ask for 5; fifteen at 3 ask for 1.
    """
    if is_high(history, target):
        return max(capacity + 1, math.ceil(capacity * history[-1] / target))
    if is_low(history, target):
        return min(capacity, math.ceil(capacity * max(history[-LOW_PERIODS:]) / target))
    return capacity


def stepped(configuration: dict[str, Any], capacity: int, breach: float) -> int:
    """The capacity that a step policy asks for when its alarm's metric is ``breach`` above (below: negative) it."""
    step = next((item for item in configuration.get("StepAdjustments", []) if _covers(item, breach)), None)
    if step is None:
        return capacity
    amount, kind = step["ScalingAdjustment"], configuration["AdjustmentType"]
    if kind == "ExactCapacity":
        return int(amount)
    if kind == "ChangeInCapacity":
        return max(0, capacity + int(amount))
    change = _whole(capacity * amount / 100)
    least = configuration.get("MinAdjustmentMagnitude", 1)
    return max(0, capacity + int(math.copysign(max(abs(change), least), amount)))


def agreed(capacity: int, wishes: Iterable[int]) -> int:
    """One capacity of several policies' wishes: the most anybody adds; less only where nobody wants more than it."""
    listed = list(wishes)
    return max(listed) if listed else capacity


class Cooldown(msgspec.Struct, frozen=True, kw_only=True):
    """Until when no change in the same direction follows the last; ``reached`` is the capacity that that one set."""

    out_until_ms: int = 0
    in_until_ms: int = 0
    reached: int = 0

    def allows(self, wanted: int, capacity: int, *, now_ms: int) -> bool:
        """Adding waits for the last addition to take effect unless more is needed; taking away waits for both."""
        if wanted > capacity:
            return now_ms >= self.out_until_ms or wanted > self.reached
        return now_ms >= max(self.out_until_ms, self.in_until_ms)

    def after(self, wanted: int, capacity: int, *, now_ms: int, out_ms: int, in_ms: int) -> Cooldown:
        """The cooldown once the capacity has been changed to ``wanted``."""
        if wanted > capacity:
            return Cooldown(out_until_ms=now_ms + out_ms, in_until_ms=self.in_until_ms, reached=wanted)
        return Cooldown(out_until_ms=self.out_until_ms, in_until_ms=now_ms + in_ms, reached=wanted)


def _covers(step: dict[str, Any], breach: float) -> bool:
    low = step.get("MetricIntervalLowerBound", -math.inf)
    high = step.get("MetricIntervalUpperBound", math.inf)
    if breach >= 0:
        return bool(low <= breach < high)
    return bool(low < breach <= high)


def _whole(change: float) -> int:
    """Percentages are rounded as AWS does: above 1 down, between 0 and 1 to 1, and likewise below zero."""
    if 0 < abs(change) < 1:
        return 1 if change > 0 else -1
    return math.trunc(change)
