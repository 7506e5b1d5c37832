"""CloudWatch alarms that really look: moto keeps their definitions, the plane evaluates them over the metrics."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.rehearsal.metrics import NAMESPACE, RESOURCES, Metrics
from penstock.rehearsal.neighbours import Neighbours

NAMESPACES = (NAMESPACE, RESOURCES)
SCALERS = "TargetTracking-"  # the scaler evaluates its own alarms
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, limit: value >= limit,
    "GreaterThanThreshold": lambda value, limit: value > limit,
    "LessThanThreshold": lambda value, limit: value < limit,
    "LessThanOrEqualToThreshold": lambda value, limit: value <= limit,
}


class CloudWatchAlarms:
    """Evaluates alarms on demand and leaves their state where DescribeAlarms shows it."""

    def __init__(self, neighbours: Neighbours, metrics: Metrics) -> None:
        self._neighbours = neighbours
        self._metrics = metrics

    def firing(self, region: str, names: tuple[str, ...]) -> str | None:
        """The first of the alarms that is in state ALARM, or None."""
        self.evaluate(region, names)
        alarms = self._neighbours.backend("monitoring", region).alarms
        return next((name for name in names if name in alarms and alarms[name].state_value == "ALARM"), None)

    def evaluate(self, region: str, names: tuple[str, ...] | None = None) -> None:
        """Brings the state of the alarms (of all of them without ``names``) in line with the metrics."""
        self._metrics.flush()
        backend = self._neighbours.backend("monitoring", region)
        for name, alarm in list(backend.alarms.items()):
            if name.startswith(SCALERS):
                continue
            if (names is None or name in names) and alarm.metric_name and alarm.namespace in NAMESPACES:
                state, reason = self._state(backend, alarm)
                if state != alarm.state_value:
                    backend.set_alarm_state(name, reason, "{}", state)

    def breach(self, region: str, action: str) -> float | None:
        """How far the metric of a ringing alarm that calls ``action`` is above its threshold; None if none rings."""
        self.evaluate(region)
        backend = self._neighbours.backend("monitoring", region)
        end = datetime.now(UTC).replace(tzinfo=None)
        for name, alarm in list(backend.alarms.items()):
            if alarm.state_value == "ALARM" and action in alarm.alarm_actions and not name.startswith(SCALERS):
                value = _value(backend, alarm, end - timedelta(seconds=int(alarm.period)), end)
                return (float(alarm.threshold) if value is None else value) - float(alarm.threshold)
        return None

    def statistic(
        self, region: str, *, namespace: str, metric: str, dimensions: set[tuple[str, str]], statistic: str,
        start: datetime, end: datetime,
    ) -> float | None:  # fmt: skip
        """One statistic of a metric between two moments; None without datapoints."""
        self._metrics.flush()
        backend = self._neighbours.backend("monitoring", region)
        between = (start.replace(tzinfo=None), end.replace(tzinfo=None))
        return _statistic(backend, namespace, metric, dimensions, statistic, *between)

    def _state(self, backend: Any, alarm: Any) -> tuple[str, str]:
        period = timedelta(seconds=int(alarm.period))
        periods = int(alarm.evaluation_periods)
        needed = int(alarm.datapoints_to_alarm or periods)
        end = datetime.now(UTC).replace(tzinfo=None)
        breaching = seen = 0
        for number in range(periods):
            value = _value(backend, alarm, end - period * (number + 1), end - period * number)
            seen += value is not None
            breaching += _breaches(alarm, value)
        if breaching >= needed:
            return "ALARM", f"{breaching} of the last {periods} datapoints breached the threshold {alarm.threshold}."
        if not seen and alarm.treat_missing_data not in ("notBreaching", "breaching", "ignore"):
            return "INSUFFICIENT_DATA", "There is no datapoint."
        return "OK", f"{breaching} of the last {periods} datapoints breached the threshold {alarm.threshold}."


def _breaches(alarm: Any, value: float | None) -> bool:
    if value is None:
        return bool(alarm.treat_missing_data == "breaching")
    return _COMPARISONS[alarm.comparison_operator](value, float(alarm.threshold))


def _value(backend: Any, alarm: Any, start: Any, end: Any) -> float | None:
    """The alarm's statistic over one period; None without datapoints."""
    dimensions = {(item.name, item.value) for item in alarm.dimensions}
    return _statistic(
        backend, alarm.namespace, alarm.metric_name, dimensions, alarm.statistic or "Average", start, end
    )  # fmt: skip


def _statistic(
    backend: Any, namespace: str, metric: str, dimensions: set[tuple[str, str]], statistic: str, start: Any, end: Any
) -> float | None:
    data = [
        item for item in backend.metric_data
        if item.namespace == namespace and item.name == metric
        and dimensions == {(dimension.name, dimension.value) for dimension in item.dimensions}
        and start < item.timestamp.replace(tzinfo=None) <= end
    ]  # fmt: skip
    if not data:
        return None
    total = sum(getattr(item, "sum", getattr(item, "value", 0.0)) for item in data)
    count = sum(getattr(item, "sample_count", 1.0) for item in data)
    values = {
        "Sum": total,
        "Average": total / count,
        "SampleCount": count,
        "Maximum": max(getattr(item, "max", getattr(item, "value", 0.0)) for item in data),
        "Minimum": min(getattr(item, "min", getattr(item, "value", 0.0)) for item in data),
    }
    return values.get(statistic, total / count)
