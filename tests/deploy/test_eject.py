"""The plan in other people's words: the boto3 script runs, the templates say the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from deploy.samples import NOTHING, REQUEST
from deploy.stage import Stage
from penstock.deploy.discover import discover
from penstock.deploy.eject import eject
from penstock.deploy.kinds import Making
from penstock.deploy.plan import build_plan
from penstock.deploy.removal import remove_all
from penstock.deploy.request import Alarms, Autoscaling, Capture, Package, VariantRequest
from penstock.deploy.resources import Kind
from penstock.ground.errors import InvalidInput, NotFound
from penstock.rehearsal.process import plane_environment

RICH = replace(
    REQUEST,
    env={"Some_Key": "1"},
    capture=Capture(s3_uri="s3://b/c"),
    alarms=Alarms(latency_p99_ms=100),
    variants=(VariantRequest(volume_gb=30, startup_timeout_s=600, autoscaling=Autoscaling()),),
)


def test_the_boto3_script_makes_the_same_endpoint(stage: Stage, tmp_path: Path) -> None:
    variants = (VariantRequest(autoscaling=Autoscaling(maximum=2)),)
    request = stage.request("ejected", env={"GREETING": "hello"}, alarms=Alarms(), variants=variants)
    plan = stage.target.plan(request)
    stage.apply(plan)
    script = tmp_path / "deploy.py"
    script.write_text(eject(plan, "boto3"))
    ours = {Kind.ENDPOINT, Kind.CONFIG, Kind.MODEL, Kind.ROLE, Kind.ALARM, Kind.SCALING}
    mine = [one for one in stage.target.ledger.resources("ejected") if one.kind in ours]
    assert not remove_all(mine, Making(aws=stage.aws, deployment="ejected"), stage.target.ledger)
    ran = subprocess.run(
        [sys.executable, str(script)], env=plane_environment(stage.plane), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(stage.target.invoke("ejected", b"{}").body)["greeting"] == "hello"
    found = {one.kind for one in discover("ejected", stage.aws).found}
    assert {Kind.ALARM, Kind.SCALING} <= found
    assert stage.target.delete("ejected", force=True).nothing_left


def test_cloudformation_refers_to_what_it_makes() -> None:
    template = json.loads(eject(build_plan(RICH, NOTHING), "cloudformation"))
    resources = template["Resources"]
    assert {one["Type"] for one in resources.values()} == {
        "AWS::IAM::Role",
        "AWS::SageMaker::Model",
        "AWS::SageMaker::EndpointConfig",
        "AWS::SageMaker::Endpoint",
        "AWS::CloudWatch::Alarm",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
    }
    named = set(re.findall(r'"Fn::GetAtt": \["(\w+)"', json.dumps(template)))
    assert named == {"Role", "Model1", "Config", "Endpoint"}
    assert named <= set(resources)
    assert resources["Model1"]["Properties"]["PrimaryContainer"]["Environment"] == {"Some_Key": "1"}


def test_terraform_has_its_own_spelling() -> None:
    document = json.loads(eject(build_plan(RICH, NOTHING), "terraform"))
    config = document["resource"]["aws_sagemaker_endpoint_configuration"]["this"]
    variant = config["production_variants"][0]
    assert variant["model_name"] == "${aws_sagemaker_model.model_1.name}"
    assert variant["volume_size_in_gb"] == 30
    assert variant["container_startup_health_check_timeout_in_seconds"] == 600
    assert config["data_capture_config"]["destination_s3_uri"] == "s3://b/c"
    container = document["resource"]["aws_sagemaker_model"]["model_1"]["primary_container"]
    assert container["environment"] == {"Some_Key": "1"}


def test_the_workflow_is_yaml_with_oidc_and_no_key() -> None:
    text = eject(build_plan(REQUEST, NOTHING), "github")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"]["id-token"] == "write"
    assert "penstock deploy models:/iris@champion --name iris --yes" in text
    assert "AWS_SECRET" not in text


def test_an_unknown_form_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="terraform"):
        eject(build_plan(REQUEST, NOTHING), "terrafrom")


BAKED = replace(RICH, package=Package(image=RICH.package.image, model_uri="models:/iris@champion"))


def test_kubernetes_gets_one_deployment_a_variant_and_one_service() -> None:
    documents = list(yaml.safe_load_all(eject(build_plan(BAKED, NOTHING), "kubernetes")))
    kinds = [one["kind"] for one in documents]
    assert kinds == ["Deployment", "HorizontalPodAutoscaler", "Service"]
    deployment, scaler, service = documents
    pod = deployment["spec"]["template"]
    container = pod["spec"]["containers"][0]
    assert container["image"].endswith(f"@{BAKED.package.image.digest}")
    assert container["readinessProbe"]["httpGet"] == {"path": "/ping", "port": 8080}
    assert container["env"] == [{"name": "Some_Key", "value": "1"}]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 4)
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_kserve_and_azure_run_the_same_image() -> None:
    plan = build_plan(BAKED, NOTHING)
    service = yaml.safe_load(eject(plan, "kserve"))
    assert service["spec"]["predictor"]["containers"][0]["name"] == "kserve-container"
    assert service["spec"]["predictor"]["maxReplicas"] == 4
    endpoint, deployment = yaml.safe_load_all(eject(plan, "azureml"))
    assert endpoint["traffic"] == {deployment["name"]: 100}
    assert deployment["environment"]["inference_config"]["scoring_route"] == {"path": "/invocations", "port": 8080}


@pytest.mark.parametrize("form", ["kubernetes", "kserve", "azureml"])
def test_a_model_beside_its_image_travels_only_to_sagemaker(form: str) -> None:
    with pytest.raises(InvalidInput, match="--model-in image"):
        eject(build_plan(REQUEST, NOTHING), form)


@pytest.mark.full
def test_cloudformation_passes_its_own_linter(peer_python: Callable[[str], Path], tmp_path: Path) -> None:
    linter = peer_python("cfn-lint").with_name("cfn-lint")
    for number, request in enumerate((REQUEST, RICH)):
        template = tmp_path / f"{number}.json"
        template.write_text(eject(build_plan(request, NOTHING), "cloudformation"))
        ran = subprocess.run([linter, str(template)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout
