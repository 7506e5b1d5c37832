"""The plan is a pure function: what is there and what is asked for give the steps."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from deploy.samples import DIGEST, NOTHING, PACKAGE, REQUEST, applied, signs
from penstock.deploy.plan import build_plan
from penstock.deploy.request import (
    Alarms,
    ArchiveSource,
    AsyncInference,
    Autoscaling,
    Capture,
    ImageSource,
    Package,
    Rollout,
    Serverless,
    VariantRequest,
    Vpc,
)
from penstock.deploy.resources import EXPIRES_TAG, Kind
from penstock.deploy.steps import Plan, Step, render
from penstock.ground.errors import AlreadyExists, Conflict, InvalidInput

OTHER = Package(image=ImageSource(digest="sha256:" + "c" * 64), archive=ArchiveSource(sha256="d" * 64))


def _endpoint_step(plan: Plan) -> Step:
    return next(step for step in plan.steps if step.resource.kind is Kind.ENDPOINT)


def test_a_first_deploy_creates_everything_in_order() -> None:
    plan = build_plan(REQUEST, NOTHING)
    kinds = ["role", "bucket", "repository", "image", "archive", "model", "config", "endpoint"]
    assert signs(plan) == [("create", kind) for kind in kinds]
    assert plan.images == {"primary": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/penstock@{DIGEST}"}


def test_the_same_again_changes_nothing() -> None:
    plan = build_plan(REQUEST, applied(REQUEST, NOTHING))
    assert not plan.changes
    assert "Nothing to do" in render(plan)


def test_the_same_two_values_give_the_same_plan_and_it_can_be_stored() -> None:
    plan = build_plan(REQUEST, NOTHING)
    assert plan == build_plan(REQUEST, NOTHING)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_defaults_that_aws_fills_in_are_no_change() -> None:
    there = applied(REQUEST, NOTHING)
    config = {**(there.config or {}), "EnableNetworkIsolation": False}
    config["ProductionVariants"] = [{**config["ProductionVariants"][0], "VolumeSizeInGB": 30}]
    assert not build_plan(REQUEST, replace(there, config=config)).changes


def test_a_new_model_is_an_update_that_shows_old_and_new() -> None:
    plan = build_plan(replace(REQUEST, package=OTHER), applied(REQUEST, NOTHING))
    assert ("change", "endpoint") in signs(plan)
    step = _endpoint_step(plan)
    changes = {change.setting: (change.before, change.after) for change in step.changes}
    assert changes["ProductionVariants.primary.Image"][1].endswith("c" * 64)
    assert step.spec["RetainAllVariantProperties"] is True


def test_nothing_that_is_not_mentioned_is_dropped() -> None:
    rich = replace(
        REQUEST,
        env={"A": "1"},
        kms_key="key-1",
        capture=Capture(s3_uri="s3://b/c"),
        async_inference=AsyncInference(output_s3_uri="s3://b/out"),
        vpc=Vpc(subnets=("subnet-1",), security_groups=("sg-1",)),
        network_isolation=True,
        tags={"team": "blue"},
        variants=(VariantRequest(instance_type="ml.c5.xlarge", instance_count=3, startup_timeout_s=900),),
    )
    before = applied(rich, NOTHING)
    plan = build_plan(replace(REQUEST, package=OTHER, env={"B": "2"}), before)
    model = next(step.spec for step in plan.steps if step.resource.kind.value == "model")
    assert model["PrimaryContainer"]["Environment"] == {"A": "1", "B": "2"}
    assert model["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    assert model["EnableNetworkIsolation"] is True
    variant = plan.config["ProductionVariants"][0]
    assert variant["InstanceType"] == "ml.c5.xlarge"
    assert variant["InitialInstanceCount"] == 3
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 900
    kept = {"KmsKeyId", "DataCaptureConfig", "AsyncInferenceConfig"}
    assert kept <= plan.config.keys()
    assert plan.tags["team"] == "blue"


def test_mentioned_counts_are_not_retained() -> None:
    request = replace(REQUEST, variants=(VariantRequest(instance_count=2),))
    spec = build_plan(request, applied(REQUEST, NOTHING)).steps[-1].spec
    assert spec["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredInstanceCount"}]


def test_an_only_variant_keeps_its_name_whatever_it_is() -> None:
    there = applied(replace(REQUEST, variants=(VariantRequest(name="blue"),)), NOTHING)
    plan = build_plan(replace(REQUEST, package=OTHER), there)
    assert [variant["VariantName"] for variant in plan.config["ProductionVariants"]] == ["blue"]


def test_with_several_variants_one_must_say_which() -> None:
    two = (VariantRequest(name="blue"), VariantRequest(name="green", package=OTHER))
    with pytest.raises(InvalidInput, match="blue, green"):
        build_plan(REQUEST, applied(replace(REQUEST, variants=two), NOTHING))


def test_the_other_variant_survives() -> None:
    two = (VariantRequest(name="blue"), VariantRequest(name="green", package=OTHER, weight=0.2))
    there = applied(replace(REQUEST, variants=two), NOTHING)
    plan = build_plan(replace(REQUEST, variants=(VariantRequest(name="blue", instance_type="ml.c5.large"),)), there)
    types = {variant["VariantName"]: variant["InstanceType"] for variant in plan.config["ProductionVariants"]}
    assert types == {"blue": "ml.c5.large", "green": "ml.m5.large"}


def test_mode_add_brings_a_variant_with_no_traffic() -> None:
    plan = build_plan(replace(REQUEST, package=OTHER, mode="add"), applied(REQUEST, NOTHING))
    weights = [variant["InitialVariantWeight"] for variant in plan.config["ProductionVariants"]]
    assert weights == [1.0, 0.0]


def test_mode_replace_leaves_only_what_is_asked_for() -> None:
    two = (VariantRequest(name="blue"), VariantRequest(name="green", package=OTHER))
    there = applied(replace(REQUEST, variants=two), NOTHING)
    plan = build_plan(replace(REQUEST, mode="replace"), there)
    assert [variant["VariantName"] for variant in plan.config["ProductionVariants"]] == ["primary"]


def test_mode_create_refuses_an_endpoint_that_is_there() -> None:
    with pytest.raises(AlreadyExists, match="exists already"):
        build_plan(replace(REQUEST, mode="create"), applied(REQUEST, NOTHING))


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"])
def test_a_busy_endpoint_is_waited_for(status: str) -> None:
    with pytest.raises(Conflict, match="--wait"):
        build_plan(REQUEST, applied(REQUEST, NOTHING, EndpointStatus=status))


def test_a_failed_endpoint_is_deleted_and_made_anew() -> None:
    plan = build_plan(REQUEST, applied(REQUEST, NOTHING, EndpointStatus="Failed", FailureReason="no ping"))
    assert signs(plan)[-2:] == [("delete", "endpoint"), ("create", "endpoint")]
    assert "no ping" in render(plan)


def test_only_shifting_a_weight_makes_no_new_config() -> None:
    request = replace(REQUEST, variants=(VariantRequest(weight=1.0),))
    there = applied(REQUEST, NOTHING)
    live = {**(there.endpoint or {}), "ProductionVariants": [{"VariantName": "primary", "CurrentWeight": 0.3}]}
    plan = build_plan(request, replace(there, endpoint=live))
    assert plan.steps[-1].spec == {"DesiredWeightsAndCapacities": [{"VariantName": "primary", "DesiredWeight": 1.0}]}


def test_what_a_rollout_watches_and_the_scaling_of_what_goes_are_not_forgotten() -> None:
    there = replace(
        applied(replace(REQUEST, variants=(VariantRequest(name="blue"), VariantRequest(name="green"))), NOTHING),
        alarms={"penstock-iris-blue-5xx": {}}, scaling={"endpoint/iris/variant/green": {}},
    )  # fmt: skip
    blue = (VariantRequest(name="blue"),)
    plan = build_plan(replace(REQUEST, mode="replace", variants=blue, rollout=Rollout(strategy="canary")), there)
    watched = _endpoint_step(plan).spec["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert watched == [{"AlarmName": "penstock-iris-blue-5xx"}]
    order = [(step.action.value, step.resource.kind.value) for step in plan.steps]
    assert order.index(("delete", "scaling")) < order.index(("change", "endpoint"))


def test_older_generations_go_but_the_one_to_roll_back_to_stays() -> None:
    first = applied(REQUEST, NOTHING)
    second = applied(replace(REQUEST, env={"G": "2"}), first)
    plan = build_plan(replace(REQUEST, env={"G": "3"}), second)
    deleted = {step.resource.name for step in plan.steps if step.action.value == "delete"}
    assert first.config is not None
    assert second.config is not None
    assert first.config["EndpointConfigName"] in deleted
    assert second.config["EndpointConfigName"] not in deleted


def test_neighbours_with_a_longer_name_are_never_touched() -> None:
    there = replace(applied(REQUEST, NOTHING), config_names=("iris-two-0123456789ab", "iris-two"), model_names=())
    plan = build_plan(replace(REQUEST, env={"G": "2"}), there)
    assert all(step.action.value != "delete" for step in plan.steps)


def test_serverless_replaces_instances() -> None:
    request = replace(REQUEST, variants=(VariantRequest(serverless=Serverless(memory_mb=4096)),))
    variant = build_plan(request, NOTHING).config["ProductionVariants"][0]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 5}
    assert "InstanceType" not in variant
    both = replace(REQUEST, variants=(VariantRequest(serverless=Serverless(), instance_type="ml.m5.large"),))
    with pytest.raises(InvalidInput, match="both serverless"):
        build_plan(both, NOTHING)


def test_a_rollout_becomes_a_deployment_config() -> None:
    request = replace(REQUEST, package=OTHER, rollout=Rollout(strategy="canary", step_percent=20, alarms=("a",)))
    spec = _endpoint_step(build_plan(request, applied(REQUEST, NOTHING))).spec["DeploymentConfig"]
    routing = spec["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["CanarySize"] == {"Type": "CAPACITY_PERCENT", "Value": 20}
    assert spec["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "a"}]}


def test_a_bucket_in_another_region_is_refused_before_anything_is_made() -> None:
    with pytest.raises(InvalidInput, match="us-east-1"):
        build_plan(REQUEST, replace(NOTHING, bucket_region="us-east-1"))


def test_expiry_is_on_by_default_stays_as_it_was_and_is_off_for_production() -> None:
    first = replace(REQUEST, default_expires_at_ms=1000)
    assert build_plan(first, NOTHING).tags[EXPIRES_TAG] == "1000"
    later = replace(REQUEST, default_expires_at_ms=9000)
    assert not build_plan(later, applied(first, NOTHING)).changes
    assert EXPIRES_TAG not in build_plan(replace(first, production=True), NOTHING).tags
    assert build_plan(replace(later, expires_at_ms=5), applied(first, NOTHING)).tags[EXPIRES_TAG] == "5"


def test_reserved_tags_are_refused() -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        build_plan(replace(REQUEST, tags={"aws:x": "1"}), NOTHING)


def test_a_package_without_an_image_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no image"):
        build_plan(replace(REQUEST, package=replace(PACKAGE, image=ImageSource())), NOTHING)


def test_alarms_and_scaling_are_steps_of_their_own_and_watched_by_the_rollout() -> None:
    scaled = (VariantRequest(autoscaling=Autoscaling(minimum=1, maximum=3)),)
    request = replace(REQUEST, alarms=Alarms(latency_p99_ms=200), variants=scaled, rollout=Rollout(strategy="canary"))
    first = build_plan(request, NOTHING)
    kinds = [step.resource.kind.value for step in first.steps]
    assert kinds[-5:] == ["config", "alarm", "alarm", "endpoint", "scaling"]
    alarm = next(step for step in first.steps if step.resource.name == "penstock-iris-primary-p99")
    assert (alarm.spec["Threshold"], alarm.spec["ExtendedStatistic"]) == (200_000, "p99")
    there = replace(
        applied(request, NOTHING),
        alarms={step.resource.name: step.spec for step in first.steps if step.resource.kind.value == "alarm"},
        scaling={step.resource.name: step.spec for step in first.steps if step.resource.kind.value == "scaling"},
    )
    assert not build_plan(request, there).changes
    assert not build_plan(REQUEST, there).changes, "what is not mentioned stays"
    moved = replace(request, package=OTHER)
    update = next(step for step in build_plan(moved, there).steps if step.action.value == "change")
    rollback = update.spec["DeploymentConfig"]["AutoRollbackConfiguration"]
    alarmed = {one["AlarmName"].rpartition("-")[2] for one in rollback["Alarms"]}
    assert alarmed == {"5xx", "p99"}
    wider = replace(request, variants=(VariantRequest(autoscaling=Autoscaling(maximum=5)),))
    step = build_plan(wider, there).steps[-1]
    assert [(change.before, change.after) for change in step.changes] == [("3", "5")]
    with pytest.raises(InvalidInput, match="not possible"):
        build_plan(replace(request, variants=(VariantRequest(autoscaling=Autoscaling(minimum=4, maximum=2)),)), there)
