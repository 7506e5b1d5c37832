"""Application Auto Scaling: what policies decide, and an endpoint whose processes really become more and fewer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.rehearsal.scaling.decision import Cooldown, agreed, stepped, tracked
from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny
from rehearsal.test_modes import eventually

__all__ = ["plane_cache", "rehearsal", "tiny"]
INSTANCES = "sagemaker:variant:DesiredInstanceCount"


@pytest.mark.parametrize(
    ("history", "capacity", "expected"),
    [
        ([25.0] * 2, 2, 2),  # two periods are no trend
        ([25.0] * 3, 2, 5),
        ([10.0] * 3, 2, 2),  # at the target is not above it
        ([10.5] * 3, 2, 3),
        ([3.0] * 14, 2, 2),
        ([3.0] * 15, 2, 1),
        ([9.5] * 15, 2, 2),  # below the target, not below nine tenths of it
        ([0.0] * 15, 5, 0),  # the target's minimum bounds it
        ([1.0] * 14 + [25.0], 3, 3),
    ],
)
def test_target_tracking_adds_after_three_periods_and_takes_after_fifteen(
    history: list[float], capacity: int, expected: int
) -> None:
    assert tracked(history, capacity, 10.0) == expected


@pytest.mark.parametrize(
    ("kind", "breach", "expected"),
    [("ChangeInCapacity", 5.0, 5), ("ChangeInCapacity", 25.0, 7), ("ExactCapacity", 5.0, 1), ("ExactCapacity", -5.0, 4),
     ("PercentChangeInCapacity", 25.0, 5)],
)  # fmt: skip
def test_step_policies_take_the_step_of_the_breach(kind: str, breach: float, expected: int) -> None:
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 3},
    ]
    configuration: dict[str, Any] = {"AdjustmentType": kind, "StepAdjustments": steps}
    assert stepped(configuration, 4, breach) == expected


def test_the_policy_that_adds_most_wins_and_less_needs_all() -> None:
    assert agreed(2, []) == 2
    assert agreed(2, [3, 5, 1]) == 5
    assert agreed(4, [1, 3]) == 3
    assert agreed(4, [1, 4]) == 4


def test_cooldowns_hold_back_what_was_just_done_but_not_more_need() -> None:
    after = Cooldown().after(3, 1, now_ms=1_000, out_ms=500, in_ms=500)
    assert not after.allows(3, 2, now_ms=1_400)
    assert after.allows(4, 3, now_ms=1_400)
    assert not after.allows(2, 3, now_ms=1_400)
    assert after.allows(2, 3, now_ms=1_500)
    assert not after.after(2, 3, now_ms=1_500, out_ms=500, in_ms=500).allows(1, 2, now_ms=1_999)


@contextmanager
def load(rehearsal: Rehearsal, endpoint: str) -> Iterator[None]:
    """Invokes without a pause, three at a time."""
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            rehearsal.invoke(endpoint)

    workers = [threading.Thread(target=call) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def answering(rehearsal: Rehearsal) -> int:
    """How many containers have answered an invocation."""
    logs = [log.read_text() for log in (rehearsal.state_dir / "containers").glob("i-*/container.log")]
    return sum("POST /invocations" in log for log in logs)


def instances(rehearsal: Rehearsal, endpoint: str) -> int:
    shown = rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return int(shown["ProductionVariants"][0]["CurrentInstanceCount"])


def test_target_tracking_changes_the_number_of_processes_both_ways(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("elastic")
    scaling = rehearsal.client("application-autoscaling")
    which = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/elastic/variant/AllTraffic",
             "ScalableDimension": INSTANCES}  # fmt: skip
    scaling.register_scalable_target(**which, MinCapacity=1, MaxCapacity=2, Tags={"team": "a"})
    tracking = {
        "TargetValue": 60.0, "ScaleInCooldown": 30, "ScaleOutCooldown": 30,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }  # fmt: skip
    made = scaling.put_scaling_policy(
        **which, PolicyName="busy", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )  # fmt: skip
    with load(rehearsal, "elastic"):
        eventually(lambda: instances(rehearsal, "elastic") == 2, "no second instance")
        eventually(lambda: answering(rehearsal) == 2, "the second instance answers nothing")
        high, low = (alarm["AlarmName"] for alarm in made["Alarms"])
        alarms = rehearsal.client("cloudwatch").describe_alarms(AlarmNames=[high, low])["MetricAlarms"]
        assert {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms} == {high: "ALARM", low: "OK"}
    eventually(lambda: instances(rehearsal, "elastic") == 1, "the second instance stays")
    assert len(list((rehearsal.state_dir / "containers").glob("i-*"))) == 1

    def activities() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")[
            "ScalingActivities"
        ]
        return found if all(item["StatusCode"] == "Successful" for item in found) else []

    newest, oldest = eventually(activities, "activities stay in progress")
    assert oldest["Description"] == "Setting desired instance count to 2."
    assert oldest["Cause"] == f"monitor alarm {high} in state ALARM triggered policy busy"
    assert newest["StatusMessage"].endswith("to 1. Change successfully fulfilled by sagemaker.")

    rehearsal.delete("elastic")
    eventually(lambda: not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"], "kept")
    cloudwatch = rehearsal.client("cloudwatch")
    eventually(lambda: not cloudwatch.describe_alarms(AlarmNames=[high])["MetricAlarms"], "the alarms stay")


def test_bounds_policies_and_alarms_of_ones_own(rehearsal: Rehearsal) -> None:
    rehearsal.deploy("stepped")
    scaling, cloudwatch = rehearsal.client("application-autoscaling"), rehearsal.client("cloudwatch")
    which = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/stepped/variant/AllTraffic",
             "ScalableDimension": INSTANCES}  # fmt: skip
    with pytest.raises(ClientError, match="No scalable target registered"):
        scaling.deregister_scalable_target(**which)
    with pytest.raises(ClientError, match="No endpoint or variant found"):
        scaling.register_scalable_target(
            **{**which, "ResourceId": "endpoint/x/variant/y"}, MinCapacity=1, MaxCapacity=2
        )
    with pytest.raises(ClientError, match="Maximum capacity cannot be less than minimum"):
        scaling.register_scalable_target(**which, MinCapacity=3, MaxCapacity=2)
    with pytest.raises(ClientError, match="Minimum capacity must be at least 1"):
        scaling.register_scalable_target(**which, MinCapacity=0, MaxCapacity=2)
    scaling.register_scalable_target(**which, MinCapacity=1, MaxCapacity=3)
    policy = {"AdjustmentType": "ChangeInCapacity", "Cooldown": 600,
              "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 5}]}  # fmt: skip
    arn = scaling.put_scaling_policy(
        **which, PolicyName="errors", PolicyType="StepScaling", StepScalingPolicyConfiguration=policy
    )["PolicyARN"]
    (shown,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert (shown["PolicyARN"], shown["StepScalingPolicyConfiguration"]) == (arn, policy)
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="AWS/SageMaker", MetricName="Invocation4XXErrors", Statistic="Sum",
        Dimensions=[{"Name": "EndpointName", "Value": "stepped"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Period=60, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[arn],
    )  # fmt: skip
    with pytest.raises(ClientError, match="client error"):
        rehearsal.invoke("stepped", CustomAttributes="fail")
    eventually(lambda: instances(rehearsal, "stepped") == 3, "the step was not taken up to the maximum")

    sagemaker = rehearsal.client("sagemaker")
    other = {"VariantName": "other", "ModelName": "stepped", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="renamed", ProductionVariants=[other])
    with pytest.raises(ClientError, match="must be deregistered as scalable targets"):
        sagemaker.update_endpoint(EndpointName="stepped", EndpointConfigName="renamed")
    scaling.delete_scaling_policy(**which, PolicyName="errors")
    scaling.register_scalable_target(**which, MaxCapacity=2)
    eventually(lambda: instances(rehearsal, "stepped") == 2, "the new maximum is not kept")
    scaling.deregister_scalable_target(**which)
    assert not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="stepped", WaiterConfig=FAST)
    rehearsal.delete("stepped")
