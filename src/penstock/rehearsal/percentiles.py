"""Percentiles (``p50``, ``p99.9``) for moto's CloudWatch, which knows the five plain statistics only.

People watch latencies by p99 and let alarms ring on it, so a plane without them would not be honest.
Source: CloudWatch user guide, "Statistics definitions", percentiles.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Sequence
from typing import Any

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` percent of ``values`` do not exceed, by linear interpolation between neighbours.

    ``percentile([1.0, 2.0, 3.0, 4.0], 50)`` is 2.5. ``values`` must not be empty.
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    below, above = math.floor(place), math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def teach_percentiles() -> None:
    """Makes moto's CloudWatch answer percentile statistics. Calling it again changes nothing."""
    models: Any = importlib.import_module("moto.cloudwatch.models")
    known = models.Statistics
    if issubclass(known, _Taught):
        return
    models.Statistics = type("Statistics", (_Taught, known), {})


class _Taught:
    """Mixed into moto's Statistics: percentiles of the single values of a period."""

    metric_single_values_list: list[float]

    def get_statistics_for_type(self, stat: str) -> float | None:
        asked = _PERCENTILE.fullmatch(stat)
        if asked is None:
            plain: float | None = super().get_statistics_for_type(stat)  # type: ignore[misc]
            return plain
        values = self.metric_single_values_list
        return percentile(values, float(asked[1])) if values else None
