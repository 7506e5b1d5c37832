"""The permissions that the caller needs for a plan, by step. Pure."""

from __future__ import annotations

from typing import Any

from penstock.deploy.resources import Kind
from penstock.deploy.roles import SERVICE
from penstock.deploy.steps import Action, Plan

_READS = {
    Kind.ROLE: ("iam:GetRole", "iam:GetRolePolicy"),
    Kind.BUCKET: ("s3:ListBucket",),
    Kind.REPOSITORY: ("ecr:DescribeRepositories", "ecr:GetAuthorizationToken"),
    Kind.IMAGE: ("ecr:DescribeImages",),
    Kind.ARCHIVE: ("s3:GetObject",),
    Kind.MODEL: ("sagemaker:DescribeModel", "sagemaker:ListModels"),
    Kind.CONFIG: ("sagemaker:DescribeEndpointConfig", "sagemaker:ListEndpointConfigs"),
    Kind.ENDPOINT: ("sagemaker:DescribeEndpoint", "sagemaker:ListTags"),
}
_WRITES = {
    (Kind.ROLE, Action.CREATE): ("iam:CreateRole", "iam:PutRolePolicy", "iam:TagRole"),
    (Kind.BUCKET, Action.CREATE): ("s3:CreateBucket", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging"),
    (Kind.REPOSITORY, Action.CREATE): ("ecr:CreateRepository", "ecr:TagResource"),
    (Kind.IMAGE, Action.CREATE): (
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:BatchGetImage",
        "ecr:PutImage",
    ),
    (Kind.ARCHIVE, Action.CREATE): ("s3:PutObject",),
    (Kind.MODEL, Action.CREATE): ("sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"),
    (Kind.CONFIG, Action.CREATE): ("sagemaker:CreateEndpointConfig", "sagemaker:AddTags"),
    (Kind.ENDPOINT, Action.CREATE): ("sagemaker:CreateEndpoint", "sagemaker:AddTags", "sagemaker:InvokeEndpoint"),
    (Kind.ENDPOINT, Action.CHANGE): (
        "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "sagemaker:InvokeEndpoint",
    ),
    (Kind.TAGS, Action.CHANGE): ("sagemaker:AddTags",),
    (Kind.ALARM, Action.CREATE): ("cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"),
    (Kind.ALARM, Action.CHANGE): ("cloudwatch:PutMetricAlarm",),
    (Kind.SCALING, Action.CREATE): (
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:PutScalingPolicy",
        "iam:CreateServiceLinkedRole",
    ),
    (Kind.SCALING, Action.CHANGE): (
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:PutScalingPolicy",
    ),
    (Kind.ROLE, Action.CHANGE): ("iam:PutRolePolicy",),
    (Kind.JOB, Action.CREATE): (
        "sagemaker:CreateTransformJob",
        "sagemaker:DescribeTransformJob",
        "sagemaker:StopTransformJob",
    ),
    (Kind.ENDPOINT, Action.DELETE): ("sagemaker:DeleteEndpoint",),
    (Kind.CONFIG, Action.DELETE): ("sagemaker:DeleteEndpointConfig",),
    (Kind.MODEL, Action.DELETE): ("sagemaker:DeleteModel",),
}
# What waiting, telling why and taking back a failure use, whatever the plan.
_ALWAYS = ("sts:GetCallerIdentity", "logs:DescribeLogStreams", "logs:GetLogEvents")


def needed_actions(plan: Plan) -> tuple[str, ...]:
    """The actions the caller must be allowed, sorted; for ``Allow`` statements and for simulating them."""
    actions = set(_ALWAYS)
    for step in plan.steps:
        actions.update(_READS.get(step.resource.kind, ()))
        actions.update(_WRITES.get((step.resource.kind, step.action), ()))
    return tuple(sorted(actions))


def caller_policy(plan: Plan, role_arn: str) -> dict[str, Any]:
    """A policy document that allows the plan's actions; passing the role is limited to SageMaker."""
    actions = [action for action in needed_actions(plan) if action != "iam:PassRole"]
    condition = {"StringEquals": {"iam:PassedToService": SERVICE}}
    pass_role = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": role_arn, "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}, pass_role]}
