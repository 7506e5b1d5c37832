"""DeploymentConfig read as a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.rehearsal.hosting.deployment import check_deployment, rolling_batches, rollout_of
from penstock.rehearsal.wire.exceptions import AwsError


def blue_green(**routing: Any) -> dict[str, Any]:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 60, **routing},
            "TerminationWaitInSeconds": 120,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "five-hundreds"}]},
    }


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def test_no_config_is_all_at_once_with_no_bake() -> None:
    rollout = rollout_of(None, instances=3)
    assert (rollout.steps, rollout.bake_s, rollout.alarms) == ((1.0,), 0.0, ())


def test_a_canary_is_two_steps() -> None:
    rollout = rollout_of(blue_green(Type="CANARY", CanarySize=percent(10)), instances=4)
    assert rollout.steps == (0.1, 1.0)
    assert (rollout.bake_s, rollout.termination_wait_s, rollout.alarms) == (60, 120, ("five-hundreds",))


def test_a_canary_of_instances_is_a_share_of_them() -> None:
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    assert rollout_of(blue_green(Type="CANARY", CanarySize=size), instances=4).steps == (0.25, 1.0)


def test_linear_steps_end_at_all() -> None:
    steps = rollout_of(blue_green(Type="LINEAR", LinearStepSize=percent(30)), instances=4).steps
    assert steps == pytest.approx((0.3, 0.6, 0.9, 1.0))
    assert rollout_of(blue_green(Type="LINEAR", LinearStepSize=percent(50)), instances=4).steps == (0.5, 1.0)


def test_rolling_moves_batch_by_batch() -> None:
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 5}}
    rollout = rollout_of(rolling, instances=2)
    assert (rollout.steps, rollout.batch, rollout.bake_s) == ((0.5, 1.0), 0.5, 5)


@pytest.mark.parametrize(
    "deployment",
    [
        blue_green(Type="CANARY"),
        blue_green(Type="CANARY", CanarySize=percent(51)),
        blue_green(Type="LINEAR", LinearStepSize=percent(5)),
        {**blue_green(Type="ALL_AT_ONCE"), "RollingUpdatePolicy": {"MaximumBatchSize": percent(10)}},
    ],
)
def test_what_does_not_go_together_is_refused(deployment: dict[str, Any]) -> None:
    with pytest.raises(AwsError):
        check_deployment(deployment)


def test_rolling_batches_launch_and_retire_in_turn() -> None:
    assert rolling_batches({"a": 4}, {"a": 4}, 0.5) == (({"a": 2}, {"a": 2}), ({"a": 4}, {"a": 0}))
    grown = rolling_batches({"a": 1, "b": 2}, {"a": 3, "b": 2}, 0.34)
    assert [launched["a"] for launched, _ in grown] == [2, 3]
    assert grown[-1] == ({"a": 3, "b": 2}, {"a": 0, "b": 0})
    peaks = [launched["b"] + before["b"] for (launched, _), (_, before) in zip(grown[1:], grown, strict=False)]
    assert max(peaks) <= 3
    assert rolling_batches({"a": 3}, {"a": 1}, 0.05)[-1] == ({"a": 1}, {"a": 0})
