"""Success is said only when it is so; no code path knows where it is; what is sent is what AWS would read."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from msgspec.structs import replace

import penstock
from deploy.samples import NOTHING, REQUEST, applied
from deploy.stage import Stage
from deploy.wire_check import violations
from penstock.api.deployments_probe import differs
from penstock.deploy.endpoint import rollout_spec
from penstock.deploy.failure import DeploymentFailed
from penstock.deploy.ledger import Event, ledger_path
from penstock.deploy.plan import build_plan
from penstock.deploy.request import (
    Alarms,
    AsyncInference,
    Autoscaling,
    Capture,
    DeployRequest,
    Rollout,
    Serverless,
    VariantRequest,
    Vpc,
)
from penstock.deploy.resources import Kind, tag_list
from penstock.deploy.steps import Action, Step
from penstock.rehearsal.place import place_of

ROOM = Path(penstock.__file__).parent / "deploy"


def test_no_code_path_knows_which_it_talks_to() -> None:
    """deploy/ imports nothing of the plane, names no loopback address, and branches on no endpoint URL."""
    for path in ROOM.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert "rehearsal" not in (node.module or ""), path
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not any(word in node.value for word in ("127.0.0.1", "localhost")), (path, node.value)
            if isinstance(node, ast.If | ast.IfExp | ast.Match):
                tested = node.subject if isinstance(node, ast.Match) else node.test
                assert "endpoint_url" not in ast.unparse(tested), path


def test_every_request_of_a_whole_life_goes_to_one_place_and_is_one_that_aws_would_read(stage: Stage) -> None:
    stage.deploy(stage.request("wire", env={"GREETING": "x"}, alarms=Alarms()))
    stage.deploy(stage.request("wire", env={"GREETING": "y"}, rollout=Rollout(strategy="canary", wait_s=0)))
    stage.target.invoke("wire", b"{}")
    stage.target.metrics("wire")
    stage.target.logs("wire")
    assert stage.target.delete("wire").nothing_left
    assert stage.check.problems == []
    assert stage.check.hosts == {stage.plane.registry}
    assert len(set(stage.check.operations)) > 25


RICH = replace(
    REQUEST,
    env={"A": "1"},
    kms_key="arn:aws:kms:eu-west-1:123456789012:key/1",
    vpc=Vpc(subnets=("subnet-1",), security_groups=("sg-1",)),
    network_isolation=True,
    capture=Capture(s3_uri="s3://b/capture", kms_key="k"),
    tags={"team": "blue"},
    alarms=Alarms(latency_p99_ms=100, actions=("arn:aws:sns:eu-west-1:123456789012:t",)),
    variants=(
        VariantRequest(
            instance_count=2, volume_gb=50, startup_timeout_s=600, download_timeout_s=600, autoscaling=Autoscaling()
        ),
    ),
)
ASYNC = replace(
    REQUEST,
    async_inference=AsyncInference(
        output_s3_uri="s3://b/out",
        failure_s3_uri="s3://b/bad",
        max_concurrent_per_instance=4,
        success_topic="arn:aws:sns:eu-west-1:123456789012:ok",
    ),
)
SERVERLESS = replace(REQUEST, variants=(VariantRequest(serverless=Serverless(provisioned_concurrency=1)),))


@pytest.mark.parametrize("request_", [RICH, ASYNC, SERVERLESS], ids=["rich", "async", "serverless"])
def test_every_setting_becomes_a_request_that_aws_would_read(request_: DeployRequest) -> None:
    first = build_plan(request_, NOTHING)
    update = build_plan(replace(request_, env={"A": "2"}), applied(request_, NOTHING))
    for step in (*first.steps, *update.steps):
        for service, operation, body in _sent(step, first.tags):
            shape = (
                boto3.client(service, region_name="eu-west-1").meta.service_model.operation_model(operation).input_shape
            )
            assert shape is not None
            assert violations(body, shape) == [], operation


@pytest.mark.parametrize("strategy", ["all_at_once", "canary", "linear", "rolling"])
def test_every_rollout_is_one_that_aws_would_read(strategy: Any) -> None:
    model = boto3.client("sagemaker", region_name="eu-west-1").meta.service_model
    body = {"EndpointName": "x", "EndpointConfigName": "y", **rollout_spec(Rollout(strategy=strategy), ("alarm",))}
    assert violations(body, model.operation_model("UpdateEndpoint").input_shape) == []


def _sent(step: Step, tags: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    name, spec, listed = step.resource.name, step.spec, tag_list(tags)
    scaling = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": name,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    match step.resource.kind, step.action:
        case Kind.MODEL, Action.CREATE:
            return [("sagemaker", "CreateModel", {"ModelName": name, "Tags": listed, **spec})]
        case Kind.CONFIG, Action.CREATE:
            return [("sagemaker", "CreateEndpointConfig", {"EndpointConfigName": name, "Tags": listed, **spec})]
        case Kind.ENDPOINT, Action.CREATE:
            return [("sagemaker", "CreateEndpoint", {"EndpointName": name, "Tags": listed, **spec})]
        case Kind.ENDPOINT, Action.CHANGE:
            return [("sagemaker", "UpdateEndpoint", {"EndpointName": name, **spec})]
        case Kind.ALARM, Action.CREATE:
            return [("cloudwatch", "PutMetricAlarm", {"AlarmName": name, **spec})]
        case Kind.SCALING, Action.CREATE:
            policy = {"PolicyName": "penstock", "PolicyType": "TargetTrackingScaling"}
            policy["TargetTrackingScalingPolicyConfiguration"] = spec["policy"]
            return [
                ("application-autoscaling", "RegisterScalableTarget", {**scaling, **spec["target"]}),
                ("application-autoscaling", "PutScalingPolicy", {**scaling, **policy}),
            ]
    return []


def test_a_deploy_that_nobody_waited_for_is_proven_later(stage: Stage) -> None:
    stage.deploy(stage.request("later"), wait=False)
    assert stage.target.ledger.history("later") == ()
    assert stage.target.settle("later") == "InService"
    assert [entry.event for entry in stage.target.ledger.history("later")] == [Event.SERVED]
    assert stage.target.ledger.unproven("later") == ()


def test_a_deploy_that_nobody_waited_for_and_that_rolled_back_is_no_success(stage: Stage) -> None:
    stage.deploy(stage.request("unseen", env={"GREETING": "old"}))
    stage.deploy(stage.request("unseen", env={"FAIL": "new code is broken"}), wait=False)
    with pytest.raises(DeploymentFailed, match="former config") as caught:
        stage.target.settle("unseen")
    assert (caught.value.exit_code, caught.value.rolled_back) == (5, True)
    assert [entry.event for entry in stage.target.ledger.history("unseen")] == [Event.SERVED, Event.FAILED]
    assert stage.target.settle("unseen") == "InService", "told once; what serves now is the former config"


def test_a_plane_is_the_same_place_whatever_its_port(stage: Stage) -> None:
    place = (stage.plane_dir / "place").read_text()
    assert stage.aws.place == place
    assert place_of(stage.plane_dir) == place, "the id stays"
    assert stage.target.ledger.path == ledger_path(
        stage.directory / "state", account=stage.aws.account, region=stage.aws.region, place=place
    )


def test_answers_are_compared_by_value() -> None:
    assert not differs(np.array([0, 2]), b'{"predictions":[0,2]}')
    assert not differs(np.array([0.1 + 0.2]), b"[0.3]")
    assert differs(np.array([0, 2]), b'{"predictions":[0,1]}')
    assert differs(np.array([0, 2]), b'{"predictions":[0]}')
    assert differs(np.array(["a"]), b'{"predictions":["b"]}')
    assert not differs(np.array(["a"]), b"not json")
    assert not differs([{"x": 1}], b'[{"x":2}]'), "records have no one reading"
