"""Model package groups, which hold the versions of a model; and their policies, which are only kept."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import AwsError, invalid, taken

KIND = "model-package-group"


class PackageGroup(Recorded, frozen=True, kw_only=True):
    """``last_version`` is the number of the version made last; numbers are never given twice."""

    description: str | None = None
    managed: dict[str, Any] | None = None
    last_version: int = 0
    policy: str | None = None


def create_model_package_group(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    group = PackageGroup(
        name=request["ModelPackageGroupName"], region=call.region, created_ms=call.now_ms,
        arn=group_arn(call, request["ModelPackageGroupName"]), tags=tag_map(request.get("Tags", [])),
        description=request.get("ModelPackageGroupDescription"), managed=request.get("ManagedConfiguration"),
    )  # fmt: skip
    if not hosting.journal.add(KIND, group):
        raise taken("model package group", group.arn)
    return {"ModelPackageGroupArn": group.arn}


def describe_model_package_group(hosting: Hosting, call: Call) -> dict[str, Any]:
    return {**_row(get_group(hosting, call, call.parameters["ModelPackageGroupName"])), "CreatedBy": {}}


def list_model_package_groups(hosting: Hosting, call: Call) -> dict[str, Any]:
    groups = hosting.journal.all(KIND, PackageGroup, region=call.region)
    return list_page(groups, call.parameters, row=_row, answer="ModelPackageGroupSummaryList")


def put_policy(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        group = get_group(hosting, call, call.parameters["ModelPackageGroupName"])
        hosting.journal.put(KIND, replace(group, policy=call.parameters["ResourcePolicy"]))
    return {"ModelPackageGroupArn": group.arn}


def get_policy(hosting: Hosting, call: Call) -> dict[str, Any]:
    group = get_group(hosting, call, call.parameters["ModelPackageGroupName"])
    if group.policy is None:
        raise invalid(f"Cannot find resource policy for: {group.arn}")
    return {"ResourcePolicy": group.policy}


def delete_policy(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        group = get_group(hosting, call, call.parameters["ModelPackageGroupName"])
        hosting.journal.put(KIND, replace(group, policy=None))
    return {}


def get_group(hosting: Hosting, call: Call, name_or_arn: str) -> PackageGroup:
    """The group of that name or ARN. Raises AwsError."""
    name = name_or_arn.rsplit("/", 1)[-1]
    groups = hosting.journal.all(KIND, PackageGroup, region=call.region)
    found = next((group for group in groups if name_or_arn in (group.name, group.arn)), None)
    if found is None:
        raise invalid(f"ModelPackageGroup {group_arn(call, name)} does not exist.")
    return found


def still_holds(group: PackageGroup) -> AwsError:
    return AwsError(
        "ConflictException", f"Model Package Group {group.arn} cannot be deleted while it contains model packages."
    )


def group_arn(call: Call, name: str) -> str:
    return sagemaker_arn(KIND, name, region=call.region, account=call.account)


def _row(group: PackageGroup) -> dict[str, Any]:
    row = {
        "ModelPackageGroupName": group.name, "ModelPackageGroupArn": group.arn,
        "ModelPackageGroupDescription": group.description, "CreationTime": epoch(group.created_ms),
        "ModelPackageGroupStatus": "Completed", "ManagedConfiguration": group.managed,
    }  # fmt: skip
    return {name: value for name, value in row.items() if value is not None}
