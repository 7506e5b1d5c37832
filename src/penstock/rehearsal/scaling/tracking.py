"""What target tracking watches: the metric, measured in scaled periods, and the two alarms that AWS shows for it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from penstock.rehearsal.scaling.decision import HIGH_PERIODS, LOW_PERIODS, LOW_SHARE
from penstock.rehearsal.scaling.records import COPIES, INSTANCES, PROVISIONED, ScalingPolicy
from penstock.rehearsal.wire.exceptions import invalid

PERIOD_SECONDS = 60.0
# Each predefined metric with the dimension it scales, and whether it counts invocations or requests under way.
PREDEFINED = {
    "SageMakerVariantInvocationsPerInstance": (INSTANCES, "InvocationsPerInstance"),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (INSTANCES, "ConcurrentRequestsPerModel"),
    "SageMakerVariantProvisionedConcurrencyUtilization": (
        PROVISIONED, "ServerlessProvisionedConcurrencyUtilization",
    ),
    "SageMakerInferenceComponentInvocationsPerCopy": (COPIES, "InvocationsPerCopy"),
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": (COPIES, "ConcurrentRequestsPerCopy"),
}  # fmt: skip
_COUNTED = ("InvocationsPerInstance", "InvocationsPerCopy")


class Traffic(Protocol):
    """What a resource has to do: how many invocations it has had in all, and how many are under way."""

    def invocations(self, region: str, resource: str) -> int: ...

    def outstanding(self, region: str, resource: str) -> int: ...


class Series(msgspec.Struct, kw_only=True):
    """What has been seen of one policy's metric."""

    values: deque[float]
    last_count: int = 0
    last_ms: int = 0
    under_way: list[int] = []


class Tracker:
    """Measures policies' metrics; ``sample`` often, ``close_period`` once a period."""

    def __init__(self, traffic: Traffic, custom: Callable[[ScalingPolicy, int, int], float | None]) -> None:
        self._traffic = traffic
        self._custom = custom
        self._series: dict[tuple[str, str], Series] = defaultdict(lambda: Series(values=deque(maxlen=LOW_PERIODS)))

    def sample(self, policy: ScalingPolicy) -> None:
        """Notes how many requests are under way."""
        series = self._series[policy.region, policy.name]
        series.under_way.append(self._traffic.outstanding(policy.region, policy.resource))

    def close_period(self, policy: ScalingPolicy, capacity: int, *, now_ms: int) -> list[float]:
        """The metric of the last periods, this one included; a unit of capacity's share, invocations a minute."""
        series = self._series[policy.region, policy.name]
        count = self._traffic.invocations(policy.region, policy.resource)
        since_ms, before = series.last_ms, series.last_count
        series.last_ms, series.last_count = now_ms, count
        samples, series.under_way = series.under_way, []
        if not since_ms:
            return []
        minutes = max(now_ms - since_ms, 1) / 60_000
        metric = metric_of(policy)
        value: float | None
        if metric is None:
            value = self._custom(policy, since_ms, now_ms)
        elif metric in _COUNTED:
            value = (count - before) / minutes / max(capacity, 1)
        else:
            value = sum(samples) / max(len(samples), 1) / max(capacity, 1)
        if value is not None:
            series.values.append(value)
        return list(series.values)

    def forget(self, keep: set[tuple[str, str]]) -> None:
        """Drops what was seen for policies that are gone."""
        for key in [key for key in self._series if key not in keep]:
            del self._series[key]


def metric_of(policy: ScalingPolicy) -> str | None:
    """CloudWatch's name of a predefined metric; None for a metric of the user's own."""
    predefined = policy.configuration.get("PredefinedMetricSpecification")
    return PREDEFINED[predefined["PredefinedMetricType"]][1] if predefined else None


def alarm_names(policy: ScalingPolicy) -> tuple[str, str]:
    """The names of the alarms that add and that take away capacity."""
    unique = policy.arn.split(":")[6] if policy.arn.count(":") >= 6 else policy.policy
    stem = f"TargetTracking-{policy.resource}"
    return f"{stem}-AlarmHigh-{unique}", f"{stem}-AlarmLow-{unique}"


def alarm_definitions(policy: ScalingPolicy) -> dict[str, dict[str, Any]]:
    """The two alarms as PutMetricAlarm would be asked for them."""
    high, low = alarm_names(policy)
    target = float(policy.configuration["TargetValue"])
    given = policy.configuration.get("CustomizedMetricSpecification", {})
    common = {
        "namespace": given.get("Namespace", "AWS/SageMaker"),
        "metric_name": metric_of(policy) or given.get("MetricName", ""),
        "statistic": given.get("Statistic", "Sum" if metric_of(policy) in _COUNTED else "Average"),
        "period": int(PERIOD_SECONDS), "alarm_actions": [policy.arn],
        "description": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
    }  # fmt: skip
    return {
        high: {**common, "comparison_operator": "GreaterThanThreshold", "threshold": target,
               "evaluation_periods": HIGH_PERIODS},
        low: {**common, "comparison_operator": "LessThanThreshold", "threshold": round(target * LOW_SHARE, 6),
              "evaluation_periods": LOW_PERIODS},
    }  # fmt: skip


def check_tracking(configuration: dict[str, Any], dimension: str) -> None:
    """Raises AwsError for a target tracking configuration that cannot be followed."""
    predefined = configuration.get("PredefinedMetricSpecification")
    custom = configuration.get("CustomizedMetricSpecification")
    if bool(predefined) == bool(custom):
        raise invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be given.")
    if configuration["TargetValue"] <= 0:
        raise invalid("TargetValue must be greater than 0.")
    if custom and custom.get("Metrics"):
        raise invalid("Metric math is not evaluated by this plane; name one metric.")
    if predefined and PREDEFINED.get(predefined["PredefinedMetricType"], ("",))[0] != dimension:
        raise invalid(
            f"The predefined metric {predefined['PredefinedMetricType']} is not supported for the scalable dimension "
            f"{dimension}."
        )
