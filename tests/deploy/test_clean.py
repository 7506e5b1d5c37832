"""Strays, expiry and cost on the plane: also what mlflow's own deployment client leaves behind."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from deploy.stage import Stage
from penstock.deploy.cost import cost_report
from penstock.deploy.discover import discover
from penstock.deploy.expire import expiries
from penstock.deploy.hosting import ConfigKind, ModelKind
from penstock.deploy.kinds import Making
from penstock.deploy.operate import history, promote, roll_back, shift_traffic
from penstock.deploy.orphans import find_orphans, remove_orphans
from penstock.deploy.request import VariantRequest
from penstock.deploy.resources import Kind
from penstock.ground.errors import InvalidInput


class Later:
    """A clock some hours ahead."""

    def __init__(self, hours: float, now_ms: int) -> None:
        self._now_ms = now_ms + int(hours * 3_600_000)

    def now_ms(self) -> int:
        return self._now_ms

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def test_strays_are_found_by_owner_and_live_things_are_left(stage: Stage) -> None:
    stage.deploy(stage.request("alive"))
    stage.deploy(stage.request("gone"))
    stage.aws.call("sagemaker", "delete_endpoint", EndpointName="gone")
    stage.target.settle("gone")
    alive = stage.aws.call("sagemaker", "describe_endpoint", EndpointName="alive")["EndpointConfigName"]
    model = stage.target.status("alive").variants[0]
    _leave_as_mlflow_does(stage, model.image)
    found = find_orphans(stage.aws, stage.target.ledger)
    mine = [one for one in found if one.deployment in ("gone", "app")]
    assert {(one.deployment, one.made_by) for one in mine} == {("gone", "penstock"), ("app", "mlflow")}
    assert {one.resource.kind for one in mine if one.deployment == "app"} == {Kind.MODEL, Kind.CONFIG}
    assert {Kind.MODEL, Kind.CONFIG, Kind.ARCHIVE, Kind.ROLE} <= {one.resource.kind for one in mine}
    assert alive not in {one.resource.name for one in found}
    assert remove_orphans(tuple(mine), session=stage.aws, ledger=stage.target.ledger) == {}
    left = {one.deployment for one in find_orphans(stage.aws, stage.target.ledger)}
    assert not {"gone", "app"} & left
    assert stage.target.status("alive").status == "InService"


def _leave_as_mlflow_does(stage: Stage, image: str) -> None:
    """The model and config that mlflow's failed create leaves, under its own naming scheme and without our tags."""
    role = stage.aws.call("iam", "get_role", RoleName="penstock-alive-us-east-1")["Role"]["Arn"]
    making = Making(aws=stage.aws, deployment="app")
    model, config = "app-model-0123456789abcdef0123", "app-config-0123456789abcdef0123"
    ModelKind().make(making, model, {"ExecutionRoleArn": role, "PrimaryContainer": {"Image": image}})
    variant = {"VariantName": model, "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    ConfigKind().make(making, config, {"ProductionVariants": [variant]})


def test_expiry_spares_production_and_idle_is_told_from_used(stage: Stage) -> None:
    request = replace(stage.request("mortal"), default_expires_at_ms=1_000)
    stage.deploy(request)
    stage.deploy(replace(stage.request("forever"), production=True))
    now_ms = int(
        stage.aws.call("sagemaker", "describe_endpoint", EndpointName="mortal")["CreationTime"].timestamp() * 1000
    )
    due = {one.name: one.reason for one in expiries(stage.aws)}
    assert (due["mortal"], due["forever"]) == ("expired", "")
    stage.deploy(replace(stage.request("mortal"), expires_at_ms=now_ms + 3_600_000 * 24))
    assert {one.name: one.reason for one in expiries(stage.aws)}["mortal"] == ""
    idle = {one.name: one.reason for one in expiries(stage.aws, idle_minutes=30, clock=Later(2, now_ms))}
    assert (idle["mortal"], idle["forever"]) == ("idle", "")


def test_cost_counts_instances_and_says_where_prices_are_from(stage: Stage) -> None:
    stage.deploy(stage.request("costly", variants=(VariantRequest(instance_type="ml.c5.xlarge", instance_count=2),)))
    report = cost_report(stage.aws)
    mine = next(one for one in report.endpoints if one.name == "costly")
    assert (mine.instances, mine.per_hour, mine.per_month) == ({"ml.c5.xlarge": 2}, 0.408, 297.84)
    assert any("table of" in origin for origin in report.origins)


def test_traffic_promotion_rollback_and_history(stage: Stage) -> None:
    stage.deploy(stage.request("steer", env={"GREETING": "one"}))
    stage.deploy(stage.request("steer", env={"GREETING": "two"}, mode="add"))
    making = Making(aws=stage.aws, deployment="steer")
    variants = [one.name for one in stage.target.status("steer").variants]
    assert variants[0] == "primary"
    assert [one.weight for one in stage.target.status("steer").variants] == [1.0, 0.0]
    shift_traffic(making, "steer", {variants[1]: 0.25}, stage.target.ledger)
    assert [one.weight for one in stage.target.status("steer").variants] == [1.0, 0.25]
    promote(making, "steer", variants[1], stage.target.ledger)
    assert b"two" in stage.target.invoke("steer", b"{}").body
    with pytest.raises(InvalidInput, match="primary"):
        promote(making, "steer", "primry", stage.target.ledger)
    former = roll_back(making, "steer", stage.target.ledger)
    assert stage.target.status("steer").config_name == former
    assert b"one" in stage.target.invoke("steer", b"{}").body
    events = history("steer", stage.target.ledger)
    assert [one.event for one in events] == ["served"] * 5
    assert events[0].config_name == events[-1].config_name == former
    assert events[0].model_uri == "test:steer"
    assert all(one.images and one.by for one in events)
    stage.target.delete("steer")
    assert discover("steer", stage.aws).found == ()
