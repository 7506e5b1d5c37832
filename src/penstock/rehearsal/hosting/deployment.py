"""How an update moves traffic: DeploymentConfig read into a value, checked as a whole."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from penstock.rehearsal.wire.exceptions import invalid


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a guarded update: ``steps`` are the incoming fleet's shares of traffic, the last is 1.0.

    After each step there is a bake of ``bake_s``, in which any of ``alarms`` in state ALARM rolls everything back;
    the outgoing fleet stays ``termination_wait_s`` longer. ``batch`` is a rolling update's share per batch.
    """

    steps: tuple[float, ...] = (1.0,)
    bake_s: float = 0.0
    termination_wait_s: float = 0.0
    alarms: tuple[str, ...] = ()
    batch: float | None = None


def rollout_of(deployment: dict[str, Any] | None, *, instances: int) -> Rollout:
    """The rollout that a DeploymentConfig asks for; none given is blue/green all at once with no bake.

    ``instances`` is the incoming fleet's size, by which INSTANCE_COUNT sizes are turned into shares.
    """
    deployment = deployment or {}
    alarms = tuple(alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    rolling = deployment.get("RollingUpdatePolicy")
    if rolling:
        share = _share(rolling["MaximumBatchSize"], instances)
        return Rollout(steps=_linear(share), bake_s=rolling["WaitIntervalInSeconds"], alarms=alarms, batch=share)
    policy = deployment.get("BlueGreenUpdatePolicy", {})
    routing = policy.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0})
    return Rollout(
        steps=_steps(routing, instances),
        bake_s=routing["WaitIntervalInSeconds"],
        termination_wait_s=policy.get("TerminationWaitInSeconds", 0),
        alarms=alarms,
    )


def rolling_batches(
    before: dict[str, int], after: dict[str, int], share: float
) -> tuple[tuple[dict[str, int], dict[str, int]], ...]:
    """The batches of a rolling update: how many incoming and outgoing instances each variant has after each of them.

    A variant of 4 that goes to 4 in batches of half is ((2, 2), (4, 0)): with the batch that is launched before its
    like is retired there are never more than 6.
    """
    steps: list[tuple[dict[str, int], dict[str, int]]] = []
    sizes = {name: max(1, math.ceil(share * max(before.get(name, 0), count) - 1e-9)) for name, count in after.items()}
    number = 0
    while not steps or steps[-1] != (after, dict.fromkeys(before, 0)):
        number += 1
        incoming = {name: min(count, number * sizes[name]) for name, count in after.items()}
        outgoing = {name: max(0, count - number * sizes.get(name, count)) for name, count in before.items()}
        steps.append((incoming, outgoing))
    return tuple(steps)


def check_rolling(deployment: dict[str, Any] | None, before: set[str], after: set[str]) -> None:
    """Raises AwsError for a rolling update between configs whose variants do not have the same names."""
    if deployment and "RollingUpdatePolicy" in deployment and before != after:
        raise invalid("A rolling update needs the same variant names in the old and the new endpoint configuration.")


def check_deployment(deployment: dict[str, Any] | None) -> None:
    """Raises AwsError for a DeploymentConfig whose parts do not go together."""
    if deployment is None:
        return
    policy, rolling = deployment.get("BlueGreenUpdatePolicy"), deployment.get("RollingUpdatePolicy")
    if policy and rolling:
        raise invalid("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy may be given.")
    if rolling:
        _check_size(rolling["MaximumBatchSize"], "MaximumBatchSize", low=5, high=50)
    if policy:
        _check_routing(policy["TrafficRoutingConfiguration"])


def _check_routing(routing: dict[str, Any]) -> None:
    kind = routing["Type"]
    if kind == "CANARY" and "CanarySize" not in routing:
        raise invalid("CanarySize is required when the traffic routing type is CANARY.")
    if kind == "LINEAR" and "LinearStepSize" not in routing:
        raise invalid("LinearStepSize is required when the traffic routing type is LINEAR.")
    if "CanarySize" in routing:
        _check_size(routing["CanarySize"], "CanarySize", low=1, high=50)
    if "LinearStepSize" in routing:
        _check_size(routing["LinearStepSize"], "LinearStepSize", low=10, high=50)


def _check_size(size: dict[str, Any], name: str, *, low: int, high: int) -> None:
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= high:
        raise invalid(f"{name} must be between {low} and {high} percent of the capacity; it is {size['Value']}.")


def _steps(routing: dict[str, Any], instances: int) -> tuple[float, ...]:
    if routing["Type"] == "CANARY":
        return (_share(routing["CanarySize"], instances), 1.0)
    if routing["Type"] == "LINEAR":
        return _linear(_share(routing["LinearStepSize"], instances))
    return (1.0,)


def _linear(share: float) -> tuple[float, ...]:
    """E.g. a share of 0.4 is (0.4, 0.8, 1.0)."""
    shares: list[float] = []
    while share * (len(shares) + 1) < 1.0 - 1e-9:
        shares.append(share * (len(shares) + 1))
    return (*shares, 1.0)


def _share(size: dict[str, Any], instances: int) -> float:
    if size["Type"] == "CAPACITY_PERCENT":
        return float(size["Value"]) / 100
    return min(1.0, float(size["Value"]) / max(instances, 1))
