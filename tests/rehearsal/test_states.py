"""The endpoint's state machine, with the hands of the clock held."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.rehearsal.fleet.plan import FleetPlan, plan_fleet
from penstock.rehearsal.hosting import states
from penstock.rehearsal.hosting.endpoint import Endpoint, Pending, Status, describe
from penstock.rehearsal.wire.exceptions import AwsError


def plan(config: str, **variant: Any) -> FleetPlan:
    request = {
        "EndpointConfigName": config,
        "ProductionVariants": [{"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large",
                                "InitialInstanceCount": 1, "InitialVariantWeight": 1.0, **variant}],
    }  # fmt: skip
    return plan_fleet(request, {"m": {"PrimaryContainer": {"Image": "r/i:1"}}})


def fresh() -> Endpoint:
    return states.created(
        "e", arn="arn:aws:sagemaker:us-east-1:123456789012:endpoint/e", region="us-east-1", plan=plan("old"), tags={},
        now_ms=1_000,
    )  # fmt: skip


def in_service() -> Endpoint:
    endpoint = fresh()
    return states.served(endpoint, endpoint.variants, now_ms=2_000)


def pending(config: str = "new") -> Pending:
    incoming = plan(config)
    return Pending(
        config_name=config, plan=incoming, variants=states.initial_variants(incoming), started_ms=3_000,
        deployment={"BlueGreenUpdatePolicy": {}},
    )  # fmt: skip


def test_nothing_is_born_in_service() -> None:
    assert fresh().status is Status.CREATING
    assert fresh().variants[0].instances == 0
    assert fresh().variants[0].phase == "Creating"


def test_a_created_endpoint_serves_with_what_was_desired() -> None:
    endpoint = in_service()
    assert endpoint.status is Status.IN_SERVICE
    assert (endpoint.variants[0].instances, endpoint.variants[0].phase) == (1, None)
    assert (endpoint.created_ms, endpoint.modified_ms) == (1_000, 2_000)


def test_a_failed_create_stays_failed_and_keeps_the_end_of_a_long_reason() -> None:
    endpoint = states.failed(fresh(), "x" * 5_000 + "the cause", now_ms=2_000)
    assert endpoint.status is Status.FAILED
    assert endpoint.failure_reason is not None
    assert len(endpoint.failure_reason) <= 1024
    assert endpoint.failure_reason.endswith("the cause")
    with pytest.raises(AwsError, match="in status Failed"):
        states.update_requested(endpoint, pending(), now_ms=3_000)


@pytest.mark.parametrize("status", sorted(states.BUSY))
def test_everything_in_progress_refuses_update_and_delete(status: Status) -> None:
    endpoint = in_service()
    busy = Endpoint(**{**{name: getattr(endpoint, name) for name in endpoint.__struct_fields__}, "status": status})
    with pytest.raises(AwsError, match="Cannot update in-progress endpoint"):
        states.delete_requested(busy, now_ms=3_000)
    with pytest.raises(AwsError, match="Cannot update in-progress endpoint"):
        states.update_requested(busy, pending(), now_ms=3_000)


def test_an_update_shows_the_old_config_until_it_is_through() -> None:
    updating = states.update_requested(in_service(), pending(), now_ms=3_000)
    shown = describe(updating)
    assert (shown["EndpointStatus"], shown["EndpointConfigName"]) == (Status.UPDATING, "old")
    assert shown["PendingDeploymentSummary"]["EndpointConfigName"] == "new"
    done = states.served(updating, pending().variants, now_ms=4_000)
    assert (done.status, done.config_name, done.pending) == (Status.IN_SERVICE, "new", None)
    assert done.last_deployment == {"BlueGreenUpdatePolicy": {}}


def test_a_failed_update_ends_in_service_on_the_old_config_with_its_reason() -> None:
    updating = states.update_requested(in_service(), pending(), now_ms=3_000)
    rolling_back = states.failed(updating, "alarm", now_ms=4_000)
    assert rolling_back.status is Status.ROLLING_BACK
    done = states.rolled_back(rolling_back, updating.variants, now_ms=5_000)
    assert (done.status, done.config_name, done.failure_reason) == (Status.IN_SERVICE, "old", "alarm")


def test_a_failed_rollback_is_told_as_such() -> None:
    rolling_back = states.failed(states.update_requested(in_service(), pending(), now_ms=1), "first", now_ms=2)
    assert states.failed(rolling_back, "second", now_ms=3).status is Status.UPDATE_ROLLBACK_FAILED


def test_a_starting_plane_launches_what_served_and_goes_on_with_what_was_under_way() -> None:
    assert states.relaunching(in_service(), now_ms=9).status is Status.SYSTEM_UPDATING
    assert states.relaunching(fresh(), now_ms=9).status is Status.CREATING
    updating = states.update_requested(in_service(), pending(), now_ms=3)
    assert states.relaunching(updating, now_ms=9) == updating
