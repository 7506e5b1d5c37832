"""Model packages: versions in a group, each approved or not, and packages of their own; what CreateModel takes of them.

A version must be Approved to be deployed (botocore, ModelApprovalStatus); packages of their own need no approval.
"""

from __future__ import annotations

from typing import Any

from msgspec import field
from msgspec.structs import replace

from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.package_groups import KIND as GROUP
from penstock.rehearsal.hosting.package_groups import get_group, still_holds
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import AwsError, invalid, taken

KIND = "model-package"
PENDING = "PendingManualApproval"
# What CreateModelPackage is given that is no property of the package, or is kept in a field of its own.
_NOT_SHOWN = ("ModelPackageName", "ModelPackageGroupName", "Tags", "ClientToken", "ModelApprovalStatus")
_UPDATED = (
    "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelCard", "ModelLifeCycle",
    "ModelPackageRegistrationType",
)  # fmt: skip


class ModelPackage(Recorded, frozen=True, kw_only=True):
    """``name`` is "<group>/<version, six digits>" for a version; ``shown`` is what Describe shows of the request."""

    title: str
    group: str | None = None
    version: int | None = None
    approval: str | None = None
    modified_ms: int
    shown: dict[str, Any] = field(default_factory=dict)


def create_model_package(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    grouped, named = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
    if bool(grouped) == bool(named):
        raise invalid("Exactly one of ModelPackageName and ModelPackageGroupName must be given.")
    if not any(request.get(name) for name in ("InferenceSpecification", "SourceAlgorithmSpecification", "SourceUri")):
        raise invalid("InferenceSpecification, SourceAlgorithmSpecification or SourceUri must be given.")
    if named and "ModelApprovalStatus" in request:
        raise invalid("ModelApprovalStatus applies to versioned model packages only.")
    shown = {name: request[name] for name in request if name not in _NOT_SHOWN}
    shown = _with_digests(hosting, call, shown)
    with hosting.journal.transaction():
        package = _version(hosting, call, grouped, shown) if grouped else _single(call, str(named), shown)
        if not hosting.journal.add(KIND, package):
            raise taken("model package", package.arn)
    return {"ModelPackageArn": package.arn}


def describe_model_package(hosting: Hosting, call: Call) -> dict[str, Any]:
    package = get_package(hosting, call, call.parameters["ModelPackageName"])
    shown = {
        **package.shown, **_head(package), "ModelPackageName": package.title, "CreatedBy": {},
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }  # fmt: skip
    if package.modified_ms != package.created_ms:
        shown["LastModifiedTime"] = epoch(package.modified_ms)
    return shown


def batch_describe_model_package(hosting: Hosting, call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for arn in call.parameters["ModelPackageArnList"]:
        try:
            package = get_package(hosting, call, arn)
        except AwsError as error:
            errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
            continue
        found[arn] = {
            "ModelPackageGroupName": "", **_head(package),
            "InferenceSpecification": package.shown.get("InferenceSpecification", {"Containers": []}),
        }  # fmt: skip
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}


def list_model_packages(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    group = request.get("ModelPackageGroupName")
    kind = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
    packages = [
        package for package in hosting.journal.all(KIND, ModelPackage, region=call.region)
        if kind in ("Both", "Versioned" if package.group else "Unversioned")
        and (group is None or package.group == group.rsplit("/", 1)[-1])
        and request.get("ModelApprovalStatus") in (None, package.approval)
    ]  # fmt: skip
    return list_page(packages, request, row=_row, answer="ModelPackageSummaryList")


def update_model_package(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    with hosting.journal.transaction():
        package = get_package(hosting, call, request["ModelPackageArn"])
        if "ModelApprovalStatus" in request and package.group is None:
            raise invalid("ModelApprovalStatus applies to versioned model packages only.")
        shown = {**package.shown, **{name: request[name] for name in _UPDATED if name in request}}
        gone = set(request.get("CustomerMetadataPropertiesToRemove", []))
        metadata = {**shown.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
        shown["CustomerMetadataProperties"] = {key: metadata[key] for key in metadata if key not in gone}
        added = request.get("AdditionalInferenceSpecificationsToAdd", [])
        if added:
            shown["AdditionalInferenceSpecifications"] = [*shown.get("AdditionalInferenceSpecifications", []), *added]
        hosting.journal.put(KIND, replace(
            package, approval=request.get("ModelApprovalStatus", package.approval), modified_ms=call.now_ms,
            shown=_with_digests(hosting, call, shown),
        ))  # fmt: skip
    return {"ModelPackageArn": package.arn}


def delete_model_package(hosting: Hosting, call: Call) -> dict[str, Any]:
    """Deletes the package; models that were made of it stay as they are."""
    package = get_package(hosting, call, call.parameters["ModelPackageName"])
    hosting.journal.remove(KIND, call.region, package.name)
    return {}


def delete_model_package_group(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        group = get_group(hosting, call, call.parameters["ModelPackageGroupName"])
        if any(package.group == group.name for package in hosting.journal.all(KIND, ModelPackage, region=call.region)):
            raise still_holds(group)
        hosting.journal.remove(GROUP, call.region, group.name)
    return {}


def get_package(hosting: Hosting, call: Call, name_or_arn: str) -> ModelPackage:
    """The package of that ARN, name, or "<group>/<version>". Raises AwsError."""
    packages = hosting.journal.all(KIND, ModelPackage, region=call.region)
    found = next((package for package in packages if name_or_arn in (package.arn, package.title)), None)
    if found is None:
        arn = name_or_arn if name_or_arn.startswith("arn:") else package_arn(call, name_or_arn)
        raise invalid(f"ModelPackage {arn} does not exist.")
    return found


def containers_of_package(hosting: Hosting, call: Call, name_or_arn: str) -> list[dict[str, Any]]:
    """The container definitions that CreateModel makes of a package. Raises AwsError unless it may be deployed."""
    package = get_package(hosting, call, name_or_arn)
    if package.group is not None and package.approval != "Approved":
        raise invalid(
            f"Cannot create a model from model package {package.arn}: its approval status is {package.approval}; "
            "it must be Approved."
        )
    containers: list[dict[str, Any]] = package.shown.get("InferenceSpecification", {}).get("Containers", [])
    if not containers:
        raise invalid(f"The model package {package.arn} has no InferenceSpecification to deploy.")
    return [{name: each[name] for name in _DEPLOYED if name in each} for each in containers]


_DEPLOYED = ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource", "Environment")


def package_arn(call: Call, name: str) -> str:
    return sagemaker_arn(KIND, name, region=call.region, account=call.account)


def _version(hosting: Hosting, call: Call, group_name: str, shown: dict[str, Any]) -> ModelPackage:
    group = get_group(hosting, call, group_name)
    number = group.last_version + 1
    hosting.journal.put(GROUP, replace(group, last_version=number))
    title = f"{group.name}/{number}"
    return ModelPackage(
        name=f"{group.name}/{number:06d}", title=title, region=call.region, arn=package_arn(call, title),
        created_ms=call.now_ms, modified_ms=call.now_ms, tags=tag_map(call.parameters.get("Tags", [])),
        group=group.name, version=number, approval=call.parameters.get("ModelApprovalStatus", PENDING), shown=shown,
    )  # fmt: skip


def _single(call: Call, name: str, shown: dict[str, Any]) -> ModelPackage:
    return ModelPackage(
        name=name, title=name, region=call.region, arn=package_arn(call, name), created_ms=call.now_ms,
        modified_ms=call.now_ms, tags=tag_map(call.parameters.get("Tags", [])), shown=shown,
    )  # fmt: skip


def _with_digests(hosting: Hosting, call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    """The same, its containers checked and their images' digests filled in."""
    specification = shown.get("InferenceSpecification")
    if specification is None:
        return shown
    containers = [
        {**each, **({"ImageDigest": hosting.checks.check_container(each, call)} if "Image" in each else {})}
        for each in specification["Containers"]
    ]
    return {**shown, "InferenceSpecification": {**specification, "Containers": containers}}


def _head(package: ModelPackage) -> dict[str, Any]:
    """What every answer about a package tells."""
    head = {
        "ModelPackageGroupName": package.group, "ModelPackageVersion": package.version,
        "ModelPackageArn": package.arn, "ModelPackageDescription": package.shown.get("ModelPackageDescription"),
        "CreationTime": epoch(package.created_ms), "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": package.approval,
        "ModelPackageRegistrationType": package.shown.get("ModelPackageRegistrationType"),
    }  # fmt: skip
    return {name: value for name, value in head.items() if value is not None}


def _row(package: ModelPackage) -> dict[str, Any]:
    name = {} if package.group else {"ModelPackageName": package.title}
    cycle = package.shown.get("ModelLifeCycle")
    return {**_head(package), **name, **({"ModelLifeCycle": cycle} if cycle else {})}
