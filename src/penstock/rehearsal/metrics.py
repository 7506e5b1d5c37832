"""CloudWatch metrics of invocations, with AWS's names, dimensions and microseconds, kept aside until someone looks."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from penstock.ground.clock import Clock
from penstock.rehearsal.neighbours import Neighbours

NAMESPACE = "AWS/SageMaker"
RESOURCES = "/aws/sagemaker/Endpoints"
_MOST_VALUES = 500
_MOST_WAITING = 20_000
Dimensions = tuple[tuple[str, str], ...]


class Metrics:
    """Gathers values and hands them to moto's CloudWatch in batches; ``flush`` before anything reads."""

    def __init__(self, neighbours: Neighbours, *, clock: Clock) -> None:
        self._neighbours = neighbours
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, str, Dimensions, str, int], list[float]] = {}
        self._totals: dict[tuple[str, Dimensions], int] = {}
        self._invocations: list[tuple[str, Dimensions, int, int, float, float, int]] = []

    def record(
        self, region: str, dimensions: Dimensions, values: dict[str, tuple[float, str]], *, namespace: str = NAMESPACE
    ) -> None:
        """Notes one value of each metric: name -> (value, unit)."""
        with self._lock:
            self._note(region, dimensions, self._clock.now_ms() // 1000, values, namespace)

    def invocations(self, region: str, dimensions: Dimensions) -> int:
        """How many invocations have been recorded under these dimensions since the plane began."""
        return self._totals.get((region, dimensions), 0)

    def record_invocation(
        self, region: str, dimensions: Dimensions, *, status: int, model_us: float, overhead_us: float, instances: int
    ) -> None:
        """Notes one invocation; what it means in metrics is worked out when somebody looks."""
        second = self._clock.now_ms() // 1000
        key = (region, dimensions)
        self._totals[key] = self._totals.get(key, 0) + 1
        self._invocations.append((region, dimensions, second, status, model_us, overhead_us, instances))
        if len(self._invocations) >= _MOST_WAITING:
            with self._lock:
                self._digest()

    def flush(self) -> None:
        """Moves everything noted into CloudWatch."""
        with self._lock:
            self._digest()
            waiting, self._waiting = self._waiting, {}
        for (namespace, region, name, dimensions, unit, second), values in waiting.items():
            datum = {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                "Timestamp": datetime.fromtimestamp(second, UTC).replace(tzinfo=None),
                "Unit": unit,
                **_content(values, unit),
            }
            self._neighbours.backend("monitoring", region).put_metric_data(namespace, [datum])

    def _digest(self) -> None:
        invocations, self._invocations = self._invocations, []
        for region, dimensions, second, status, model_us, overhead_us, instances in invocations:
            values = invocation_values(
                status=status, model_us=model_us, overhead_us=overhead_us, instances=instances
            )  # fmt: skip
            self._note(region, dimensions, second, values)

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


def invocation_values(
    *, status: int, model_us: float, overhead_us: float, instances: int
) -> dict[str, tuple[float, str]]:
    """The values of one invocation; ``status`` is the container's own, 0 when it gave none."""
    failed = status == 0 or status >= 500
    return {
        "Invocations": (1.0, "Count"),
        "InvocationsPerInstance": (1.0 / max(instances, 1), "Count"),
        "Invocation4XXErrors": (float(400 <= status < 500), "Count"),
        "Invocation5XXErrors": (float(failed), "Count"),
        "InvocationModelErrors": (float(failed or status >= 400), "Count"),
        "ModelLatency": (model_us, "Microseconds"),
        "OverheadLatency": (overhead_us, "Microseconds"),
    }
