"""What policies bear on a principal: those written into a user, role or group, and those attached to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.rehearsal.iam.policies import Policy, parse_policy
from penstock.rehearsal.neighbours import Neighbours

# The plane's own key belongs to nobody in IAM and may do anything, as an account's administrator may.
_ADMINISTRATOR = Policy("AdministratorAccess", "user", ({"Effect": "Allow", "Action": "*", "Resource": "*"},))


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A user, role or group with its policies; ``boundary`` are the statements it can never exceed, if it has any."""

    arn: str
    policies: tuple[Policy, ...]
    boundary: Policy | None = None


def find_principal(neighbours: Neighbours, arn: str) -> Principal | None:
    """The principal of an IAM ARN, or of the ARN that STS gives the plane's own key; None if there is none."""
    backend = neighbours.backend("iam", "us-east-1")
    if ":sts:" in arn and ":user/" in arn:
        return Principal(arn=arn, policies=(_ADMINISTRATOR,))
    for kind, found in (("user", backend.users), ("role", backend.roles), ("group", backend.groups)):
        entity = next((each for each in list(found.values()) if each.arn == arn), None)
        if entity is not None:
            return _principal(backend, kind, entity)
    return None


def _principal(backend: Any, kind: str, entity: Any) -> Principal:
    policies = list(_policies(kind, entity))
    if kind == "user":
        for group in backend.get_groups_for_user(entity.name):
            policies += _policies("group", group)
    boundary = backend.managed_policies.get(getattr(entity, "permissions_boundary_arn", None) or "")
    limit = parse_policy(_document(boundary), id=boundary.arn, kind="boundary") if boundary else None
    return Principal(arn=entity.arn, policies=tuple(policies), boundary=limit)


def _policies(kind: str, entity: Any) -> Iterator[Policy]:
    for name, document in list(entity.policies.items()):
        yield parse_policy(document, id=f"{kind}_{entity.name}_{name}", kind=kind)
    for policy in list(entity.managed_policies.values()):
        yield parse_policy(_document(policy), id=policy.name, kind=kind)


def _document(policy: Any) -> str:
    return str(next(version.document for version in policy.versions if version.is_default))
