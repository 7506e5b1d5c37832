"""The model registry of SageMaker: versions, approvals, and models made of them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny

__all__ = ["plane_cache", "rehearsal", "tiny"]


def specification(rehearsal: Rehearsal, **environment: str) -> dict[str, Any]:
    container = {"Image": rehearsal.push("tiny"), "Environment": environment}
    return {"Containers": [container], "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["a/b"]}


def test_only_an_approved_version_is_deployed(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    with pytest.raises(ClientError, match=r"ModelPackageGroup arn:.*/prices does not exist"):
        sagemaker.create_model_package(ModelPackageGroupName="prices", InferenceSpecification=specification(rehearsal))
    sagemaker.create_model_package_group(ModelPackageGroupName="prices", ModelPackageGroupDescription="d")
    first = sagemaker.create_model_package(
        ModelPackageGroupName="prices", InferenceSpecification=specification(rehearsal, GREETING="package"),
        CustomerMetadataProperties={"a": "1", "b": "2"},
    )["ModelPackageArn"]  # fmt: skip
    assert first.endswith(":model-package/prices/1")
    container = {"ModelPackageName": first, "Environment": {"VARIANT": "model"}}
    model = {"ModelName": "packaged", "ExecutionRoleArn": rehearsal.role(), "PrimaryContainer": container}
    with pytest.raises(ClientError, match="its approval status is PendingManualApproval"):
        sagemaker.create_model(**model)
    sagemaker.update_model_package(
        ModelPackageArn=first, ModelApprovalStatus="Approved", ApprovalDescription="seen",
        CustomerMetadataProperties={"c": "3"}, CustomerMetadataPropertiesToRemove=["a"],
    )  # fmt: skip
    shown = sagemaker.describe_model_package(ModelPackageName=first)
    assert (shown["ModelPackageVersion"], shown["ModelApprovalStatus"], shown["ModelPackageStatus"]) == (
        1, "Approved", "Completed",
    )  # fmt: skip
    assert shown["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    image = rehearsal.push("tiny")
    assert shown["InferenceSpecification"]["Containers"][0]["ImageDigest"] == image.partition("@")[2]

    sagemaker.create_model(**model)
    assert sagemaker.describe_model(ModelName="packaged")["PrimaryContainer"]["ModelPackageName"] == first
    sagemaker.delete_model_package(ModelPackageName=first)
    variant = {"VariantName": "a", "ModelName": "packaged", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="packaged", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="packaged", EndpointConfigName="packaged")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="packaged", WaiterConfig=FAST)
    told = rehearsal.told("packaged")
    assert (told["greeting"], told["variant"]) == ("package", "model")
    rehearsal.delete("packaged")


def test_versions_are_listed_batched_and_hold_their_group(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    group = sagemaker.create_model_package_group(ModelPackageGroupName="kinds", Tags=[{"Key": "a", "Value": "b"}])
    assert sagemaker.list_tags(ResourceArn=group["ModelPackageGroupArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    arns = [
        sagemaker.create_model_package(
            ModelPackageGroupName="kinds", InferenceSpecification=specification(rehearsal),
            ModelApprovalStatus="Rejected" if number == 2 else "Approved",
        )["ModelPackageArn"]
        for number in range(3)
    ]  # fmt: skip
    lone = sagemaker.create_model_package(
        ModelPackageName="lone", InferenceSpecification=specification(rehearsal)
    )["ModelPackageArn"]  # fmt: skip
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName="kinds", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]] == arns
    rejected = sagemaker.list_model_packages(ModelPackageGroupName="kinds", ModelApprovalStatus="Rejected")
    assert [item["ModelPackageVersion"] for item in rejected["ModelPackageSummaryList"]] == [3]
    unversioned = sagemaker.list_model_packages()["ModelPackageSummaryList"]
    assert [item["ModelPackageName"] for item in unversioned] == ["lone"]
    absent = f"{arns[0][:-1]}9"
    batch = sagemaker.batch_describe_model_package(ModelPackageArnList=[arns[1], lone, absent])
    assert set(batch["ModelPackageSummaries"]) == {arns[1], lone}
    assert set(batch["BatchDescribeModelPackageErrorMap"]) == {absent}
    with pytest.raises(ClientError, match="cannot be deleted while it contains"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="kinds")
    for arn in arns:
        sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="kinds", ResourcePolicy="{}")
    assert sagemaker.get_model_package_group_policy(ModelPackageGroupName="kinds")["ResourcePolicy"] == "{}"
    sagemaker.delete_model_package_group(ModelPackageGroupName="kinds")
    names = [item["ModelPackageGroupName"] for item in sagemaker.list_model_package_groups()[
        "ModelPackageGroupSummaryList"]]  # fmt: skip
    assert "kinds" not in names
