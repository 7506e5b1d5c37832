"""The execution role: what SageMaker may do in our name, and no more than this deployment needs."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from penstock.deploy.kinds import Making
from penstock.deploy.resources import tag_list
from penstock.deploy.session import AwsSession
from penstock.ground.errors import InvalidInput, NotFound

SERVICE = "sagemaker.amazonaws.com"
_POLICY = "penstock"


def trust_policy() -> dict[str, Any]:
    """Who may take the role: SageMaker."""
    return _document({"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"})


class Reach(Struct, frozen=True, kw_only=True):
    """What a deployment's role must reach: repositories (ARNs), S3 prefixes, topics, keys, a VPC's interfaces."""

    partition: str
    region: str
    account: str
    repositories: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    vpc: bool = False


def execution_policy(reach: Reach) -> dict[str, Any]:
    """What SageMaker and the containers need, and no more: pull, read and write below the prefixes, log. Pure.

    Source: facts on the execution role, 4.1.
    """
    arn = f"arn:{reach.partition}"
    log_groups = f"{arn}:logs:{reach.region}:{reach.account}:log-group:/aws/sagemaker/*"
    statements = [
        _allow(["ecr:GetAuthorizationToken"], "*"),
        _allow([f"logs:{verb}" for verb in _LOG_VERBS], log_groups),
        _allow(["cloudwatch:PutMetricData", "cloudwatch:DescribeAlarms"], "*"),
    ]
    if reach.repositories:
        statements.append(_allow([f"ecr:{verb}" for verb in _PULL_VERBS], *reach.repositories))
    if reach.prefixes:
        objects = [f"{arn}:s3:::{prefix.removeprefix('s3://').rstrip('/')}/*" for prefix in reach.prefixes]
        buckets = [f"{arn}:s3:::{bucket}" for bucket in _buckets(reach.prefixes)]
        statements.append(_allow(["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], *objects))
        statements.append(_allow(["s3:ListBucket"], *buckets))
    if reach.topics:
        statements.append(_allow(["sns:Publish"], *reach.topics))
    if reach.keys:
        keys = [key if key.startswith("arn:") else f"{arn}:kms:{reach.region}:{reach.account}:key/{key}"
                for key in reach.keys]  # fmt: skip
        statements.append(_allow(["kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"], *keys))
    if reach.vpc:
        statements.append(_allow([f"ec2:{verb}" for verb in _VPC_VERBS], "*"))
    return _document(*statements)


def _buckets(prefixes: tuple[str, ...]) -> list[str]:
    return sorted({prefix.removeprefix("s3://").partition("/")[0] for prefix in prefixes})


_LOG_VERBS = ("CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogStreams")
_PULL_VERBS = ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage")
_VPC_VERBS = (
    "CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface",
    "DeleteNetworkInterfacePermission", "DescribeNetworkInterfaces", "DescribeVpcs", "DescribeSubnets",
    "DescribeSecurityGroups", "DescribeDhcpOptions",
)  # fmt: skip


def find_policy(aws: AwsSession, role: str) -> dict[str, Any] | None:
    """The policy that we put on a role of ours, decoded; None when there is none."""
    found = aws.find("iam", "get_role_policy", RoleName=role, PolicyName=_POLICY)
    document = found["PolicyDocument"] if found else None
    return json.loads(unquote(document)) if isinstance(document, str) else document


def find_role(aws: AwsSession, name_or_arn: str) -> dict[str, Any] | None:
    """The role as IAM describes it, its trust document decoded; None when there is none."""
    name = name_or_arn.rpartition("/")[2]
    found = aws.find("iam", "get_role", RoleName=name)
    if found is None:
        return None
    role: dict[str, Any] = found["Role"]
    trust = role.get("AssumeRolePolicyDocument", {})
    return {**role, "AssumeRolePolicyDocument": json.loads(unquote(trust)) if isinstance(trust, str) else trust}


def trusts_sagemaker(role: dict[str, Any]) -> bool:
    """Whether the role's trust policy lets SageMaker assume it."""
    statements = role["AssumeRolePolicyDocument"].get("Statement", [])
    return any(_trusts(statement) for statement in (statements if isinstance(statements, list) else [statements]))


def get_role_arn(aws: AwsSession, name_or_arn: str) -> str:
    """The ARN of a role that exists and trusts SageMaker. Raises NotFound or InvalidInput, each with the fix."""
    if name_or_arn.startswith("arn:") and ":role/" not in name_or_arn:
        raise InvalidInput(
            f"{name_or_arn!r} is not a role's ARN.", fix="Give a role's name or ARN (arn:aws:iam::...:role/...)."
        )
    role = find_role(aws, name_or_arn)
    if role is None:
        raise NotFound(
            f"There is no role {name_or_arn!r} in account {aws.account}.",
            fix="Correct it, or leave it out and have one made.",
        )
    if not trusts_sagemaker(role):
        shown = json.dumps(trust_policy())
        raise InvalidInput(
            f"The role {name_or_arn!r} does not let SageMaker assume it.", fix=f"Set its trust policy to {shown}."
        )
    return str(role["Arn"])


class RoleKind:
    """Roles that we make, one per deployment."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        aws = making.aws
        if aws.find("iam", "get_role", RoleName=name) is None:
            aws.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(spec["trust"]),
                     Description="Made by Penstock for one endpoint.", Tags=tag_list(making.tags))  # fmt: skip
        aws.call("iam", "put_role_policy", RoleName=name, PolicyName=_POLICY, PolicyDocument=json.dumps(spec["policy"]))

    def remove(self, making: Making, name: str) -> None:
        aws = making.aws
        if aws.find("iam", "get_role", RoleName=name) is None:
            return
        for policy in aws.call("iam", "list_role_policies", RoleName=name)["PolicyNames"]:
            aws.find("iam", "delete_role_policy", RoleName=name, PolicyName=policy)
        aws.find("iam", "delete_role", RoleName=name)

    def exists(self, making: Making, name: str) -> bool:
        return making.aws.find("iam", "get_role", RoleName=name) is not None


def _trusts(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return statement.get("Effect") == "Allow" and SERVICE in ([services] if isinstance(services, str) else services)


def _allow(actions: list[str], *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources[0] if len(resources) == 1 else [*resources]}


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
