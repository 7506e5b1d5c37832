"""Execution roles: the role must exist in the plane's IAM and trust SageMaker, or CreateModel says so as AWS does."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.wire.exceptions import AwsError, access_denied, invalid

PRINCIPAL = "sagemaker.amazonaws.com"
_ROLE = re.compile(r"arn:aws[a-z\-]*:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)")


def check_role(arn: str, neighbours: Neighbours, account: str) -> None:
    """Raises AwsError unless the role could be assumed by SageMaker."""
    match = _ROLE.fullmatch(arn)
    if match is None:
        raise invalid(f"1 validation error detected: Value '{arn}' at 'executionRoleArn' is not a role's ARN.")
    if match[1] != account:
        raise access_denied(f"Cross-account pass role is not allowed: {arn}.")
    roles = neighbours.backend("iam", "us-east-1").roles
    role = next((role for role in list(roles.values()) if role.arn == arn), None)
    if role is None or not trusts_sagemaker(role.assume_role_policy_document):
        raise not_assumable(arn)


def not_assumable(arn: str) -> AwsError:
    return invalid(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal '{PRINCIPAL}' "
        "to assume the role."
    )


def trusts_sagemaker(document: str | dict[str, Any]) -> bool:
    """Whether a trust policy lets SageMaker assume the role."""
    try:
        policy = msgspec.json.decode(document) if isinstance(document, str) else document
    except msgspec.DecodeError:
        return False
    statements = policy.get("Statement", [])
    return any(_allows(item) for item in (statements if isinstance(statements, list) else [statements]))


def _allows(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else principal
    names = [services] if isinstance(services, str) else services
    actions = statement.get("Action", [])
    actions = [actions] if isinstance(actions, str) else actions
    assumes = any(action in ("sts:AssumeRole", "sts:*", "*") for action in actions)
    return statement.get("Effect") == "Allow" and assumes and any(name in (PRINCIPAL, "*") for name in names)
