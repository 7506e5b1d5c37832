"""The execution role: what SageMaker may do in our name, and no more than this deployment needs."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from penstock.deploy.kinds import Making
from penstock.deploy.resources import tag_list
from penstock.deploy.session import AwsSession
from penstock.ground.errors import InvalidInput, NotFound

SERVICE = "sagemaker.amazonaws.com"
_POLICY = "penstock"


def trust_policy() -> dict[str, Any]:
    """Who may take the role: SageMaker."""
    return _document({"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"})


def execution_policy(*, partition: str, region: str, account: str, repository: str | None, bucket: str | None,
                     deployment: str) -> dict[str, Any]:  # fmt: skip
    """What SageMaker and the containers need for ``deployment``: pull, read the archive, log. Pure."""
    arn = f"arn:{partition}"
    statements = [
        _allow(["ecr:GetAuthorizationToken"], "*"),
        _allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            f"{arn}:logs:{region}:{account}:log-group:/aws/sagemaker/*",
        ),
        _allow(["cloudwatch:PutMetricData", "cloudwatch:DescribeAlarms"], "*"),
    ]
    if repository:
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
        statements.append(_allow(pull, f"{arn}:ecr:{region}:{account}:repository/{repository}"))
    if bucket:
        statements.append(_allow(["s3:GetObject", "s3:PutObject"], f"{arn}:s3:::{bucket}/{deployment}/*"))
        statements.append(_allow(["s3:ListBucket"], f"{arn}:s3:::{bucket}"))
    return _document(*statements)


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


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
