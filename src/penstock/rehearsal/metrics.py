"""CloudWatch metrics of invocations, with AWS's names, dimensions and microseconds, kept aside until someone looks."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime
from typing import Any

from penstock.ground.clock import Clock
from penstock.rehearsal.neighbours import Neighbours

NAMESPACE = "AWS/SageMaker"
RESOURCES = "/aws/sagemaker/Endpoints"
_MOST_VALUES = 500
Dimensions = tuple[tuple[str, str], ...]
Values = dict[str, tuple[float, str]]


class _Second:
    """One second's invocations of one variant."""

    __slots__ = ("failed", "model_us", "overhead_us", "refused", "shares")

    def __init__(self) -> None:
        self.model_us: list[float] = []
        self.overhead_us: list[float] = []
        self.shares: list[float] = []
        self.refused = self.failed = 0

    def add(self, status: int, model_us: float, overhead_us: float, instances: int) -> None:
        """Notes one; ``status`` is the container's own, 0 when it gave none."""
        self.model_us.append(model_us)
        self.overhead_us.append(overhead_us)
        self.shares.append(1.0 / max(instances, 1))
        if status == 0 or status >= 500:
            self.failed += 1
        elif status >= 400:
            self.refused += 1

    def values(self) -> dict[str, tuple[list[float], str]]:
        """Each metric's values, one of every invocation."""
        count = len(self.model_us)
        bad = self.failed + self.refused
        return {
            "Invocations": ([1.0] * count, "Count"),
            "InvocationsPerInstance": (self.shares, "Count"),
            "Invocation4XXErrors": (_flags(self.refused, count), "Count"),
            "Invocation5XXErrors": (_flags(self.failed, count), "Count"),
            "InvocationModelErrors": (_flags(bad, count), "Count"),
            "ModelLatency": (self.model_us, "Microseconds"),
            "OverheadLatency": (self.overhead_us, "Microseconds"),
        }


def _flags(ones: int, count: int) -> list[float]:
    return [1.0] * ones + [0.0] * (count - ones)


class _Statistics:
    """What is kept of a minute's looks at an instance, however many there were."""

    __slots__ = ("count", "high", "low", "total")

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0
        self.low, self.high = math.inf, -math.inf

    def add(self, value: float) -> None:
        self.total, self.count = self.total + value, self.count + 1
        self.low, self.high = min(self.low, value), max(self.high, value)

    def content(self) -> dict[str, Any]:
        """As PutMetricData takes it."""
        return {"StatisticValues": {
            "Sum": self.total, "Minimum": self.low, "Maximum": self.high, "SampleCount": self.count,
        }}  # fmt: skip


class Metrics:
    """Gathers values and hands them to moto's CloudWatch in batches; ``flush`` before anything reads."""

    def __init__(self, neighbours: Neighbours, *, clock: Clock) -> None:
        self._neighbours = neighbours
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, str, Dimensions, str, int], list[float]] = {}
        self._usage: dict[tuple[str, str, Dimensions, str, int], _Statistics] = {}
        self._totals: dict[tuple[str, Dimensions], int] = {}
        self._seconds: dict[tuple[str, Dimensions, int], _Second] = {}

    def record(
        self, region: str, dimensions: Dimensions, values: dict[str, tuple[float, str]], *, namespace: str = NAMESPACE
    ) -> None:
        """Notes one value of each metric: name -> (value, unit)."""
        with self._lock:
            self._note(region, dimensions, self._clock.now_ms() // 1000, values, namespace)

    def observe(self, region: str, dimensions: Dimensions, values: dict[str, tuple[float, str]]) -> None:
        """Notes what an instance holds or uses, e.g. ``{"MemoryUtilization": (12.5, "Percent")}``, by the minute."""
        second = self._clock.now_ms() // 60_000 * 60
        with self._lock:
            for name, (value, unit) in values.items():
                kept = self._usage.setdefault((region, name, dimensions, unit, second), _Statistics())
                kept.add(value)

    def invocations(self, region: str, dimensions: Dimensions) -> int:
        """How many invocations have been recorded under these dimensions since the plane began."""
        return self._totals.get((region, dimensions), 0)

    def record_invocation(
        self, region: str, dimensions: Dimensions, *, status: int, model_us: float, overhead_us: float, instances: int
    ) -> None:
        """Notes one invocation; what it means in metrics is worked out when somebody looks."""
        second = self._clock.now_ms() // 1000
        key, place = (region, dimensions), (region, dimensions, second)
        with self._lock:
            self._totals[key] = self._totals.get(key, 0) + 1
            noted = self._seconds.get(place)
            if noted is None:
                noted = self._seconds[place] = _Second()
            noted.add(status, model_us, overhead_us, instances)

    def flush(self) -> None:
        """Moves everything noted into CloudWatch."""
        with self._lock:
            self._digest()
            waiting, self._waiting = self._waiting, {}
            usage, self._usage = self._usage, {}
        for (namespace, region, name, dimensions, unit, second), values in waiting.items():
            self._publish(namespace, region, name, dimensions, unit, second, _content(values, unit))
        for (region, name, dimensions, unit, second), kept in usage.items():
            self._publish(RESOURCES, region, name, dimensions, unit, second, kept.content())

    def _publish(
        self, namespace: str, region: str, name: str, dimensions: Dimensions, unit: str, second: int,
        content: dict[str, Any],
    ) -> None:  # fmt: skip
        datum = {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            "Timestamp": datetime.fromtimestamp(second, UTC).replace(tzinfo=None),
            "Unit": unit,
            **content,
        }
        self._neighbours.backend("monitoring", region).put_metric_data(namespace, [datum])

    def _digest(self) -> None:
        seconds, self._seconds = self._seconds, {}
        for (region, dimensions, second), noted in seconds.items():
            for name, (values, unit) in noted.values().items():
                if name == "InvocationsPerInstance" and dimensions[0][0] == "InferenceComponentName":
                    name = "InvocationsPerCopy"
                self._waiting.setdefault((NAMESPACE, region, name, dimensions, unit, second), []).extend(values)

    def _note(
        self, region: str, dimensions: Dimensions, second: int, values: dict[str, tuple[float, str]],
        namespace: str = NAMESPACE,
    ) -> None:  # fmt: skip
        for name, (value, unit) in values.items():
            self._waiting.setdefault((namespace, region, name, dimensions, unit, second), []).append(value)


def _content(values: list[float], unit: str) -> dict[str, Any]:
    """Single values as such; counts, and more values than are worth keeping apart, as their statistics."""
    if len(values) == 1:
        return {"Value": values[0]}
    if unit != "Count" and len(values) <= _MOST_VALUES:
        return {"Values": values}
    statistics = {"Sum": sum(values), "Minimum": min(values), "Maximum": max(values), "SampleCount": len(values)}
    return {"StatisticValues": statistics}
