"""An endpoint's figures of the last minutes, from CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from penstock.deploy.session import AwsSession
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import NotFound

_PERIOD_S = 60
_CALLS, _RESOURCES = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
# id: (namespace, metric, statistic); the latencies are in microseconds.
_QUERIES = {
    "invocations": (_CALLS, "Invocations", "Sum"),
    "errors_4xx": (_CALLS, "Invocation4XXErrors", "Sum"),
    "errors_5xx": (_CALLS, "Invocation5XXErrors", "Sum"),
    "latency_avg": (_CALLS, "ModelLatency", "Average"),
    "latency_max": (_CALLS, "ModelLatency", "Maximum"),
    "overhead_avg": (_CALLS, "OverheadLatency", "Average"),
    "memory_max": (_RESOURCES, "MemoryUtilization", "Maximum"),
}


class VariantMetrics(Struct, frozen=True, kw_only=True):
    """One variant's figures over the window; latencies in milliseconds, None without calls.

    ``memory_max_percent`` is of the instance type's memory; None where the platform does not tell.
    """

    variant: str
    invocations: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    model_latency_avg_ms: float | None = None
    model_latency_max_ms: float | None = None
    overhead_avg_ms: float | None = None
    memory_max_percent: float | None = None


class EndpointMetrics(Struct, frozen=True, kw_only=True):
    name: str
    minutes: int
    variants: tuple[VariantMetrics, ...]

    @property
    def invocations(self) -> int:
        return sum(variant.invocations for variant in self.variants)


def metrics(aws: AwsSession, name: str, *, minutes: int = 60, clock: Clock = SYSTEM_CLOCK) -> EndpointMetrics:
    """The figures of each variant over the last ``minutes``. Raises NotFound when there is no such endpoint.

    Source: CloudWatch GetMetricData, namespace AWS/SageMaker, one-minute resolution.
    """
    found = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
    names = [variant["VariantName"] for variant in found.get("ProductionVariants", [])]
    if not names:
        raise NotFound(f"The endpoint {name!r} has no variant yet.", fix=f"Wait with `penstock status {name} --wait`.")
    return EndpointMetrics(
        name=name, minutes=minutes, variants=tuple(_variant(aws, name, one, minutes, clock) for one in names)
    )


def _variant(aws: AwsSession, endpoint: str, variant: str, minutes: int, clock: Clock) -> VariantMetrics:
    # A whole number of minutes, one ahead, so that the minute now running counts.
    end_s = (clock.now_ms() // 1000 // _PERIOD_S + 1) * _PERIOD_S
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    found = aws.call(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=[_query(key, dimensions) for key in _QUERIES],
        StartTime=datetime.fromtimestamp(end_s - (minutes + 1) * _PERIOD_S, UTC),
        EndTime=datetime.fromtimestamp(end_s, UTC),
    )
    values = {result["Id"]: result["Values"] for result in found["MetricDataResults"]}
    return VariantMetrics(
        variant=variant,
        invocations=int(sum(values.get("invocations", []))),
        errors_4xx=int(sum(values.get("errors_4xx", []))),
        errors_5xx=int(sum(values.get("errors_5xx", []))),
        model_latency_avg_ms=_milliseconds(values.get("latency_avg", [])),
        model_latency_max_ms=_worst(values.get("latency_max", [])),
        overhead_avg_ms=_milliseconds(values.get("overhead_avg", [])),
        memory_max_percent=max(values.get("memory_max", []), default=None),
    )


def _query(key: str, dimensions: list[dict[str, str]]) -> dict[str, Any]:
    namespace, metric, statistic = _QUERIES[key]
    stat = {
        "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
        "Period": _PERIOD_S,
        "Stat": statistic,
    }
    return {"Id": key, "MetricStat": stat}


def _milliseconds(values: list[float]) -> float | None:
    """The mean over the minutes that had calls."""
    return sum(values) / len(values) / 1000 if values else None


def _worst(values: list[float]) -> float | None:
    return max(values) / 1000 if values else None
