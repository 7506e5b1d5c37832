"""CloudWatch's side of scaling: target tracking's alarms shown there, and users' alarms that call step policies."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from penstock.rehearsal.alarms import CloudWatchAlarms
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.scaling.records import ScalingPolicy, dimensions_of
from penstock.rehearsal.scaling.tracking import alarm_definitions, alarm_names


class ScalingAlarms:
    """Keeps target tracking's alarms in CloudWatch in step with what the scaler saw; it alone evaluates those."""

    def __init__(self, neighbours: Neighbours, alarms: CloudWatchAlarms) -> None:
        self._neighbours = neighbours
        self._alarms = alarms
        self._shown: dict[str, ScalingPolicy] = {}

    def show(self, policy: ScalingPolicy, *, high: bool, low: bool) -> None:
        """Puts the policy's alarms into CloudWatch, in the states they are in."""
        if not self._neighbours.loaded("monitoring"):
            return
        backend = self._neighbours.backend("monitoring", policy.region)
        dimensions = [{"Name": name, "Value": value} for name, value in dimensions_of(policy.resource)]
        states = dict(zip(alarm_names(policy), ("ALARM" if high else "OK", "ALARM" if low else "OK"), strict=True))
        for name, definition in alarm_definitions(policy).items():
            if name not in backend.alarms or self._shown.get(name) != policy:
                backend.put_metric_alarm(name=name, dimensions=dimensions, **definition)
            self._shown[name] = policy
            if backend.alarms[name].state_value != states[name]:
                backend.set_alarm_state(name, "The scaler's own look at the metric.", "{}", states[name])

    def keep(self, policies: Iterable[ScalingPolicy]) -> None:
        """Takes away the alarms of policies that are gone."""
        wanted = {name for policy in policies for name in alarm_names(policy)}
        for name in [name for name in self._shown if name not in wanted]:
            backend = self._neighbours.backend("monitoring", self._shown.pop(name).region)
            with suppress(KeyError):
                backend.delete_alarms([name])

    def breach(self, policy: ScalingPolicy) -> float | None:
        """How far the metric of an alarm that calls this policy is beyond its threshold; None while none rings."""
        if not self._neighbours.loaded("monitoring"):
            return None
        return self._alarms.breach(policy.region, policy.arn)

    def custom(self, policy: ScalingPolicy, since_ms: int, now_ms: int) -> float | None:
        """A user's own metric over a period; sums are of a minute, whatever the period's length."""
        given = policy.configuration.get("CustomizedMetricSpecification")
        if given is None or not self._neighbours.loaded("monitoring"):
            return None
        start = datetime.fromtimestamp(min(since_ms, now_ms - 1000) / 1000, UTC)
        end = datetime.fromtimestamp(now_ms / 1000, UTC)
        value = self._alarms.statistic(
            policy.region, namespace=given.get("Namespace", ""), metric=given.get("MetricName", ""),
            dimensions={(item["Name"], item["Value"]) for item in given.get("Dimensions", [])},
            statistic=given.get("Statistic", "Average"), start=start, end=end,
        )  # fmt: skip
        counted = given.get("Statistic") in ("Sum", "SampleCount")
        return value * 60 / (end - start).total_seconds() if value is not None and counted else value
