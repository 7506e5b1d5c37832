"""Traffic between variants and fleets: weights, guarded updates, rollbacks; and no request lost on the way."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]


def make_config(rehearsal: Rehearsal, name: str, **variants: dict[str, Any]) -> None:
    """A config whose variants each have a model of their own, which says the variant's name and the config's."""
    sagemaker, image = rehearsal.client("sagemaker"), rehearsal.push("tiny")
    production = []
    for variant, settings in variants.items():
        environment = {"VARIANT": variant, "GREETING": name, **settings.pop("environment", {})}
        sagemaker.create_model(
            ModelName=f"{name}-{variant}", ExecutionRoleArn=rehearsal.role(),
            PrimaryContainer={"Image": image, "Environment": environment},
        )  # fmt: skip
        production.append({
            "VariantName": variant, "ModelName": f"{name}-{variant}", "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1, **settings,
        })  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=production)


def start(rehearsal: Rehearsal, endpoint: str, config: str) -> None:
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=endpoint, WaiterConfig=FAST)


def settled(rehearsal: Rehearsal, endpoint: str) -> dict[str, Any]:
    """The endpoint once nothing is in progress, without the waiter's whole seconds."""
    deadline = time.monotonic() + 60
    while True:
        shown = dict(rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint))
        if shown["EndpointStatus"] not in ("Creating", "Updating", "RollingBack"):
            return shown
        assert time.monotonic() < deadline, shown


class Seen(NamedTuple):
    """One request of a load."""

    began: float
    greeting: str


@contextmanager
def constant_load(rehearsal: Rehearsal, endpoint: str) -> Iterator[list[Seen]]:
    """Invokes all the while; when each request began, and its answer's GREETING or the error."""
    seen: list[Seen] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                seen.append(Seen(began, str(rehearsal.told(endpoint)["greeting"])))
            except ClientError as error:
                seen.append(Seen(began, f"lost: {error}"))

    workers = [threading.Thread(target=load) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def canary(percent: int, *, wait_s: int, alarms: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent},
                "WaitIntervalInSeconds": wait_s,
            },
        },
        **({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}),
    }  # fmt: skip


def test_two_variants_share_by_weight_and_can_be_named(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "ab", a={"InitialVariantWeight": 3.0}, b={"InitialVariantWeight": 1.0})
    start(rehearsal, "ab", "ab")
    assert Counter(rehearsal.told("ab")["variant"] for _ in range(20)) == {"a": 15, "b": 5}
    named = rehearsal.invoke("ab", TargetVariant="b")
    assert named["InvokedProductionVariant"] == "b"
    with pytest.raises(ClientError, match="Variant c not found"):
        rehearsal.invoke("ab", TargetVariant="c")

    sagemaker = rehearsal.client("sagemaker")
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="ab",
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0.0},
            {"VariantName": "b", "DesiredWeight": 1.0, "DesiredInstanceCount": 2},
        ],
    )
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.update_endpoint(EndpointName="ab", EndpointConfigName="ab")
    shown = {item["VariantName"]: item for item in settled(rehearsal, "ab")["ProductionVariants"]}
    assert (shown["a"]["CurrentWeight"], shown["b"]["CurrentInstanceCount"]) == (0.0, 2)
    answers = [rehearsal.told("ab") for _ in range(10)]
    assert {answer["variant"] for answer in answers} == {"b"}
    rehearsal.delete("ab")


def test_an_update_under_load_loses_no_request(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "v1", a={})
    make_config(rehearsal, "v2", a={})
    start(rehearsal, "rolling", "v1")
    with constant_load(rehearsal, "rolling") as seen:
        rehearsal.client("sagemaker").update_endpoint(EndpointName="rolling", EndpointConfigName="v2")
        shown = settled(rehearsal, "rolling")
        switched, before = time.monotonic(), len(seen)
        while len(seen) < before + 20:
            time.sleep(0.01)
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "v2")
    assert {one.greeting for one in seen} == {"v1", "v2"}
    assert {one.greeting for one in seen if one.began > switched} == {"v2"}
    rehearsal.delete("rolling")


def test_a_failed_update_ends_in_service_on_the_old_config(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "good", a={})
    make_config(rehearsal, "bad", a={"environment": {"FAIL": "wrong weights"}})
    start(rehearsal, "guarded", "good")
    rehearsal.client("sagemaker").update_endpoint(EndpointName="guarded", EndpointConfigName="bad")
    shown = settled(rehearsal, "guarded")
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "good")
    assert "ValueError: wrong weights" in shown["FailureReason"]
    assert rehearsal.told("guarded")["greeting"] == "good"
    rehearsal.delete("guarded")


def test_a_canary_takes_its_share_while_it_bakes_then_all(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "c1", a={})
    make_config(rehearsal, "c2", a={})
    start(rehearsal, "canary", "c1")
    rehearsal.client("sagemaker").update_endpoint(
        EndpointName="canary", EndpointConfigName="c2", DeploymentConfig=canary(20, wait_s=300)
    )
    deadline = time.monotonic() + 30
    while True:
        pending = rehearsal.client("sagemaker").describe_endpoint(EndpointName="canary")["PendingDeploymentSummary"]
        if pending["ProductionVariants"][0].get("VariantStatus", [{}])[0].get("Status") == "Baking":
            break
        assert time.monotonic() < deadline
    assert Counter(rehearsal.told("canary")["greeting"] for _ in range(20)) == {"c1": 16, "c2": 4}
    shown = settled(rehearsal, "canary")
    assert shown["EndpointConfigName"] == "c2"
    assert shown["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "CANARY"
    assert {rehearsal.told("canary")["greeting"] for _ in range(5)} == {"c2"}
    rehearsal.delete("canary")


def test_an_alarm_rolls_a_canary_back(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "steady", a={})
    make_config(rehearsal, "shaky", a={})
    start(rehearsal, "alarmed", "steady")
    cloudwatch = rehearsal.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="model-errors", Namespace="AWS/SageMaker", MetricName="Invocation4XXErrors", Statistic="Sum",
        Dimensions=[{"Name": "EndpointName", "Value": "alarmed"}, {"Name": "VariantName", "Value": "a"}],
        Period=60, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )  # fmt: skip
    rehearsal.client("sagemaker").update_endpoint(
        EndpointName="alarmed", EndpointConfigName="shaky",
        DeploymentConfig=canary(50, wait_s=3000, alarms=("model-errors",)),
    )  # fmt: skip
    with pytest.raises(ClientError, match="client error"):
        rehearsal.invoke("alarmed", CustomAttributes="fail")
    shown = settled(rehearsal, "alarmed")
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "steady")
    assert "model-errors" in shown["FailureReason"]
    assert cloudwatch.describe_alarms(AlarmNames=["model-errors"])["MetricAlarms"][0]["StateValue"] == "ALARM"
    assert {rehearsal.told("alarmed")["greeting"] for _ in range(4)} == {"steady"}
    rehearsal.delete("alarmed")


def test_an_update_can_keep_weights_and_counts(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "keep1", a={"InitialVariantWeight": 2.0})
    make_config(rehearsal, "keep2", a={"InitialVariantWeight": 5.0})
    start(rehearsal, "keep", "keep1")
    rehearsal.client("sagemaker").update_endpoint(
        EndpointName="keep", EndpointConfigName="keep2", RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )  # fmt: skip
    variant = settled(rehearsal, "keep")["ProductionVariants"][0]
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (2.0, 1)
    rehearsal.delete("keep")


def rolling(alarms: tuple[str, ...] = ()) -> dict[str, Any]:
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 60}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
    return {"RollingUpdatePolicy": policy, **rollback}


def containers(rehearsal: Rehearsal) -> int:
    return len(list((rehearsal.state_dir / "containers").glob("i-*")))


def test_a_rolling_update_never_doubles_and_loses_no_request(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "r1", a={"InitialInstanceCount": 2})
    make_config(rehearsal, "r2", a={"InitialInstanceCount": 2})
    make_config(rehearsal, "r3", b={"InitialInstanceCount": 2})
    start(rehearsal, "rolled", "r1")
    sagemaker = rehearsal.client("sagemaker")
    with pytest.raises(ClientError, match="same variant names"):
        sagemaker.update_endpoint(EndpointName="rolled", EndpointConfigName="r3", DeploymentConfig=rolling())
    counts = set()
    with constant_load(rehearsal, "rolled") as seen:
        sagemaker.update_endpoint(EndpointName="rolled", EndpointConfigName="r2", DeploymentConfig=rolling())
        while sagemaker.describe_endpoint(EndpointName="rolled")["EndpointStatus"] == "Updating":
            counts.add(containers(rehearsal))
    assert {one.greeting for one in seen} == {"r1", "r2"}
    assert max(counts) == 3  # a batch of one more, never the four of two whole fleets
    assert min(counts) >= 2
    shown = settled(rehearsal, "rolled")
    assert (shown["EndpointConfigName"], shown["ProductionVariants"][0]["CurrentInstanceCount"]) == ("r2", 2)
    rehearsal.delete("rolled")


def test_a_rolling_update_whose_second_batch_fails_puts_the_first_back(rehearsal: Rehearsal) -> None:
    make_config(rehearsal, "s1", a={"InitialInstanceCount": 2})
    make_config(rehearsal, "s2", a={"InitialInstanceCount": 2})
    start(rehearsal, "relapsed", "s1")
    cloudwatch, sagemaker = rehearsal.client("cloudwatch"), rehearsal.client("sagemaker")
    cloudwatch.put_metric_alarm(
        AlarmName="rolled-back", Namespace="AWS/SageMaker", MetricName="Invocation4XXErrors", Statistic="Sum",
        Dimensions=[{"Name": "EndpointName", "Value": "relapsed"}, {"Name": "VariantName", "Value": "a"}],
        Period=60, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip
    sagemaker.update_endpoint(
        EndpointName="relapsed", EndpointConfigName="s2", DeploymentConfig=rolling(("rolled-back",))
    )
    deadline = time.monotonic() + 30
    while rehearsal.told("relapsed")["greeting"] == "s1":
        assert time.monotonic() < deadline, "the first batch gets no traffic"
    with pytest.raises(ClientError, match="client error"):
        rehearsal.invoke("relapsed", CustomAttributes="fail")
    shown = settled(rehearsal, "relapsed")
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == ("InService", "s1")
    assert "rolled-back" in shown["FailureReason"]
    assert {rehearsal.told("relapsed")["greeting"] for _ in range(6)} == {"s1"}
    assert containers(rehearsal) == 2
    rehearsal.delete("relapsed")
