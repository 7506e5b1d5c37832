"""A plan in other people's words: boto3, CloudFormation, Terraform JSON, a GitHub workflow, Kubernetes. Pure."""

from __future__ import annotations

import json
import pprint
import re
from collections.abc import Callable
from typing import Any

from penstock.deploy.eject_elsewhere import as_azureml, as_kserve, as_kubernetes
from penstock.deploy.repository import REPOSITORY_SETTINGS
from penstock.deploy.resources import Kind, tag_list
from penstock.deploy.steps import Plan, Step
from penstock.deploy.watching import SCALING
from penstock.ground.errors import NotFound
from penstock.ground.names import near


def eject(plan: Plan, form: str) -> str:
    """The plan written as ``form``, one of FORMS. Raises NotFound for another."""
    if form not in FORMS:
        raise NotFound(
            f"A plan cannot be written as {form!r}.{near(form, list(FORMS))}", fix=f"Use {', '.join(FORMS)}."
        )
    return FORMS[form](plan)


def as_boto3(plan: Plan) -> str:
    """A Python script that makes the same with nothing but boto3; the image and the archive must be there already."""
    lines = [
        f'"""Deploys {plan.name} in {plan.region}. Push the image and upload the archive named below first."""',
        "",
        "import json",
        "",
        "import boto3",
        "",
        f"session = boto3.Session(region_name={plan.region!r})",
        f"tags = {_shown(tag_list(plan.tags))}",
        'sagemaker = session.client("sagemaker")',
    ]
    for step in plan.steps:
        lines += _boto3_step(plan, step)
    lines += [
        'sagemaker.get_waiter("endpoint_in_service").wait(',
        f"    EndpointName={plan.name!r}, WaiterConfig={{'Delay': 5, 'MaxAttempts': 720}}",
        ")",
        f"found = sagemaker.describe_endpoint(EndpointName={plan.name!r})",
        f'assert found["EndpointConfigName"] == {plan.config_name!r}, "the update was rolled back"',
    ]
    return "\n".join(lines) + "\n"


def as_cloudformation(plan: Plan) -> str:
    """A CloudFormation template; property names are the API's own, references replace our names."""
    resources: dict[str, Any] = {}
    models = {step.resource.name: f"Model{index}" for index, step in enumerate(_of(plan, Kind.MODEL), 1)}
    role = next(iter(_of(plan, Kind.ROLE)), None)
    if role is not None:
        policy = {"PolicyName": "penstock", "PolicyDocument": role.spec["policy"]}
        properties = {
            "RoleName": role.resource.name,
            "AssumeRolePolicyDocument": role.spec["trust"],
            "Policies": [policy],
        }
        resources["Role"] = {"Type": "AWS::IAM::Role", "Properties": properties}
    for step in _of(plan, Kind.MODEL):
        body = {**step.spec, "Tags": tag_list(plan.tags)}
        if role is not None:
            body["ExecutionRoleArn"] = {"Fn::GetAtt": ["Role", "Arn"]}
        resources[models[step.resource.name]] = {"Type": "AWS::SageMaker::Model", "Properties": body}
    variants = [
        {**variant, "ModelName": _attribute(models, variant["ModelName"], "ModelName")}
        for variant in plan.config["ProductionVariants"]
    ]
    config = {**plan.config, "ProductionVariants": variants, "Tags": tag_list(plan.tags)}
    resources["Config"] = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": config}
    endpoint = {
        "EndpointName": plan.name,
        "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
        "Tags": tag_list(plan.tags),
    }
    resources["Endpoint"] = {"Type": "AWS::SageMaker::Endpoint", "Properties": endpoint}
    for index, step in enumerate(_of(plan, Kind.ALARM), 1):
        alarm = {"AlarmName": step.resource.name, **step.spec}
        resources[f"Alarm{index}"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}
    for index, step in enumerate(_of(plan, Kind.SCALING), 1):
        resources |= _cloudformation_scaling(step, index)
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"The endpoint {plan.name}; its image and model archive must be there already.",
        "Resources": resources,
        "Outputs": {"EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}},
    }
    return json.dumps(template, indent=2) + "\n"


def _cloudformation_scaling(step: Step, index: int) -> dict[str, Any]:
    target = {"ResourceId": step.resource.name, **SCALING, **step.spec["target"]}
    policy = {
        "PolicyName": "penstock",
        "PolicyType": "TargetTrackingScaling",
        "ScalingTargetId": {"Ref": f"Scaling{index}"},
        "TargetTrackingScalingPolicyConfiguration": step.spec["policy"],
    }
    kind = "AWS::ApplicationAutoScaling"
    return {
        f"Scaling{index}": {"Type": f"{kind}::ScalableTarget", "DependsOn": "Endpoint", "Properties": target},
        f"Policy{index}": {"Type": f"{kind}::ScalingPolicy", "Properties": policy},
    }


def as_terraform(plan: Plan) -> str:
    """Terraform's JSON syntax for the AWS provider; save it as ``main.tf.json``."""
    resource: dict[str, dict[str, Any]] = {}
    role = next(iter(_of(plan, Kind.ROLE)), None)
    if role is not None:
        trust, policy = json.dumps(role.spec["trust"]), json.dumps(role.spec["policy"])
        resource["aws_iam_role"] = {"execution": {"name": role.resource.name, "assume_role_policy": trust}}
        inline = {"name": "penstock", "role": "${aws_iam_role.execution.id}", "policy": policy}
        resource["aws_iam_role_policy"] = {"execution": inline}
    models = {step.resource.name: f"model_{index}" for index, step in enumerate(_of(plan, Kind.MODEL), 1)}
    for step in _of(plan, Kind.MODEL):
        body = _snake(step.spec)
        if role is not None:
            body["execution_role_arn"] = "${aws_iam_role.execution.arn}"
        resource.setdefault("aws_sagemaker_model", {})[models[step.resource.name]] = {**body, "tags": plan.tags}
    config = _snake({key: value for key, value in plan.config.items() if key != "KmsKeyId"})
    for variant in config["production_variants"]:
        if variant["model_name"] in models:
            variant["model_name"] = f"${{aws_sagemaker_model.{models[variant['model_name']]}.name}}"
    if "KmsKeyId" in plan.config:
        config["kms_key_arn"] = plan.config["KmsKeyId"]
    lifecycle = {"create_before_destroy": True}  # Else the config goes before the endpoint has left it.
    resource["aws_sagemaker_endpoint_configuration"] = {"this": {**config, "tags": plan.tags, "lifecycle": lifecycle}}
    name = "${aws_sagemaker_endpoint_configuration.this.name}"
    endpoint = {"name": plan.name, "endpoint_config_name": name, "tags": plan.tags}
    resource["aws_sagemaker_endpoint"] = {"this": endpoint}
    resource |= _terraform_around(plan)
    document = {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "provider": {"aws": {"region": plan.region}},
        "resource": resource,
    }
    return json.dumps(document, indent=2) + "\n"


def _terraform_around(plan: Plan) -> dict[str, dict[str, Any]]:
    """The alarms and the scaling, under Terraform's names."""
    found: dict[str, dict[str, Any]] = {}
    for index, step in enumerate(_of(plan, Kind.ALARM), 1):
        body = _snake({key: value for key, value in step.spec.items() if key != "Dimensions"})
        body["metric_name"], dimensions = step.spec["MetricName"], step.spec["Dimensions"]
        alarm = {
            **body,
            "alarm_name": step.resource.name,
            "dimensions": {one["Name"]: one["Value"] for one in dimensions},
        }
        found.setdefault("aws_cloudwatch_metric_alarm", {})[f"alarm_{index}"] = alarm
    for index, step in enumerate(_of(plan, Kind.SCALING), 1):
        place = {"resource_id": step.resource.name, **_snake(SCALING)}
        target = {**place, **_snake(step.spec["target"]), "depends_on": ["aws_sagemaker_endpoint.this"]}
        found.setdefault("aws_appautoscaling_target", {})[f"scaling_{index}"] = target
        policy = {
            **place,
            "name": "penstock",
            "policy_type": "TargetTrackingScaling",
            "target_tracking_scaling_policy_configuration": _snake(step.spec["policy"]),
            "depends_on": [f"aws_appautoscaling_target.scaling_{index}"],
        }
        found.setdefault("aws_appautoscaling_policy", {})[f"scaling_{index}"] = policy
    return found


def as_github(plan: Plan) -> str:
    """A GitHub Actions workflow: plans on a pull request, deploys on main, signed in by OIDC with no stored key."""
    model = plan.tags.get("penstock:model", "MODEL")
    return f"""\
name: deploy {plan.name}
on:
  pull_request:
  push:
    branches: [main]
permissions:
  contents: read
  id-token: write  # lets the job prove who it is to AWS; no key is stored anywhere
concurrency: deploy-{plan.name}
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - uses: aws-actions/configure-aws-credentials@v4
        with:
          # A role whose trust policy names token.actions.githubusercontent.com and this repository.
          role-to-assume: ${{{{ vars.AWS_DEPLOY_ROLE }}}}
          aws-region: {plan.region}
      - run: pip install "penstock[all]"
      - run: penstock plan {model} --name {plan.name}
      - if: github.event_name == 'push'
        run: penstock deploy {model} --name {plan.name} --yes
"""


FORMS: dict[str, Callable[[Plan], str]] = {
    "boto3": as_boto3,
    "cloudformation": as_cloudformation,
    "terraform": as_terraform,
    "github": as_github,
    "kubernetes": as_kubernetes,
    "kserve": as_kserve,
    "azureml": as_azureml,
}


def _of(plan: Plan, kind: Kind) -> list[Step]:
    return [step for step in plan.steps if step.resource.kind is kind and step.spec]


def _boto3_step(plan: Plan, step: Step) -> list[str]:
    name, spec = step.resource.name, step.spec
    match step.resource.kind:
        case Kind.ROLE:
            return [
                'iam = session.client("iam")',
                f"trust = {_shown(spec['trust'])}",
                f"policy = {_shown(spec['policy'])}",
                f"iam.create_role(RoleName={name!r}, AssumeRolePolicyDocument=json.dumps(trust), Tags=tags)",
                f"iam.put_role_policy(RoleName={name!r}, PolicyName='penstock', PolicyDocument=json.dumps(policy))",
            ]
        case Kind.REPOSITORY:
            settings = f", **{REPOSITORY_SETTINGS!r}"
            return [f'# session.client("ecr").create_repository(repositoryName={name!r}{settings})']
        case Kind.IMAGE:
            return [f"# The image {name} has the digest {spec['digest']}."]
        case Kind.ARCHIVE:
            return [f"# The archive {name} has the SHA-256 {spec['sha256']}."]
        case Kind.MODEL:
            return [f"sagemaker.create_model(ModelName={name!r}, Tags=tags, **{_shown(spec)})"]
        case Kind.CONFIG:
            return [f"sagemaker.create_endpoint_config(EndpointConfigName={name!r}, Tags=tags, **{_shown(spec)})"]
        case Kind.ALARM:
            return [f'session.client("cloudwatch").put_metric_alarm(AlarmName={name!r}, **{_shown(spec)})']
        case Kind.SCALING:
            place = ", ".join(f"{key}={value!r}" for key, value in {**SCALING, "ResourceId": name}.items())
            return [
                'sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=' + f"{plan.name!r})",
                'scaling = session.client("application-autoscaling")',
                f"scaling.register_scalable_target({place}, **{spec['target']!r})",
                f"scaling.put_scaling_policy({place}, PolicyName='penstock', PolicyType='TargetTrackingScaling',",
                f"    TargetTrackingScalingPolicyConfiguration={spec['policy']!r})",
            ]
        case Kind.ENDPOINT if plan.previous_config is None:
            arguments = f"EndpointName={name!r}, EndpointConfigName={plan.config_name!r}"
            return [f"sagemaker.create_endpoint({arguments}, Tags=tags)"]
        case Kind.ENDPOINT if spec:
            return [f"sagemaker.update_endpoint(EndpointName={name!r}, **{_shown(spec)})"]
    return []


def _attribute(names: dict[str, str], name: str, attribute: str) -> Any:
    return {"Fn::GetAtt": [names[name], attribute]} if name in names else name


def _shown(value: Any) -> str:
    return pprint.pformat(value, width=110, sort_dicts=False)


def _snake(value: Any) -> Any:
    """Keys as Terraform writes them: ``VolumeSizeInGB`` as ``volume_size_in_gb``; environment variables stay."""
    if isinstance(value, list):
        return [_snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_snake_key(key): item if key == "Environment" else _snake(item) for key, item in value.items()}


def _snake_key(key: str) -> str:
    special = {"SecurityGroupIds": "security_group_ids", "S3OutputPath": "s3_output_path"}
    return special.get(key) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key).lower()
