"""Every operation of the plane's table, asked for by boto3 and answered well: parsed, nothing unknown, nothing missing.

What is checked of each answer is in ``rehearsal.answers``, which every client of the tests runs; here is the proof that
no operation is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from penstock.rehearsal.ecr.operations import OPERATIONS as ECR
from penstock.rehearsal.hosting.operations import OPERATIONS as SAGEMAKER
from penstock.rehearsal.scaling.operations import OPERATIONS as SCALING
from penstock.rehearsal.wire.shapes import service_model
from rehearsal.planes import FAST, Rehearsal, plane_cache, rehearsal, tiny
from wire.test_ecr_plane import digest, upload

pytestmark = pytest.mark.full  # each operation is also called by the quick tests of its own subject

__all__ = ["plane_cache", "rehearsal", "tiny"]
CHECK_SIGNATURES = True
TABLE = {
    "sagemaker": set(SAGEMAKER),
    "ecr": set(ECR),
    "application-autoscaling": set(SCALING),
    "sagemaker-runtime": set(service_model("sagemaker-runtime").operation_names),
}


def watched(rehearsal: Rehearsal) -> dict[str, set[str]]:
    """What has been answered well so far, by service."""
    seen: dict[str, set[str]] = {service: set() for service in TABLE}
    for service, names in seen.items():

        def note(http_response: Any, model: Any, names: set[str] = names, **_: Any) -> None:
            if http_response.status_code in (200, 202):
                names.add(model.name)

        rehearsal.client(service).meta.events.register("after-call", note)
    return seen


def settled(describe: Callable[[], dict[str, Any]], key: str) -> None:
    while describe()[key] in ("Creating", "Updating", "RollingBack", "InProgress", "Stopping"):
        pass


def test_no_operation_of_the_table_is_answered_otherwise_than_botocore_expects(rehearsal: Rehearsal) -> None:
    seen = watched(rehearsal)
    hosting(rehearsal)
    packages(rehearsal)
    batch(rehearsal)
    scaling(rehearsal)
    components(rehearsal)
    images(rehearsal)
    endings(rehearsal)
    assert {service: TABLE[service] - names for service, names in seen.items() if TABLE[service] - names} == {}
    assert {service: names - TABLE[service] for service, names in seen.items() if names - TABLE[service]} == {}


def hosting(rehearsal: Rehearsal) -> None:
    sagemaker, runtime = rehearsal.client("sagemaker"), rehearsal.client("sagemaker-runtime")
    rehearsal.client("s3").create_bucket(Bucket="walk")
    rehearsal.client("s3").put_object(Bucket="walk", Key="in/1", Body=b"a\nb\n")
    rehearsal.deploy("walk")
    sagemaker.describe_model(ModelName="walk"), sagemaker.list_models()
    sagemaker.describe_endpoint_config(EndpointConfigName="walk"), sagemaker.list_endpoint_configs()
    arn = sagemaker.describe_endpoint(EndpointName="walk")["EndpointArn"]
    assert sagemaker.list_endpoints()["Endpoints"][0]["EndpointArn"] == arn
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    rehearsal.told("walk")
    stream = runtime.invoke_endpoint_with_response_stream(EndpointName="walk", Body=b"{}", CustomAttributes="chunks")
    assert b"".join(event["PayloadPart"]["Bytes"] for event in stream["Body"]) == b"one two three"
    describe = lambda: sagemaker.describe_endpoint(EndpointName="walk")  # noqa: E731
    weight = {"VariantName": "AllTraffic", "DesiredWeight": 2.0}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="walk", DesiredWeightsAndCapacities=[weight])
    settled(describe, "EndpointStatus")
    sagemaker.create_endpoint_config(
        EndpointConfigName="later", AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://walk/out"}},
        ProductionVariants=[{
            "VariantName": "AllTraffic", "ModelName": "walk", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
        }],
    )  # fmt: skip
    sagemaker.update_endpoint(EndpointName="walk", EndpointConfigName="later")
    settled(describe, "EndpointStatus")
    runtime.invoke_endpoint_async(EndpointName="walk", InputLocation="s3://walk/in/1")


def packages(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    group = {"ModelPackageGroupName": "group"}
    sagemaker.create_model_package_group(**group)
    sagemaker.describe_model_package_group(**group), sagemaker.list_model_package_groups()
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    sagemaker.put_model_package_group_policy(**group, ResourcePolicy=policy)
    assert sagemaker.get_model_package_group_policy(**group)["ResourcePolicy"] == policy
    sagemaker.delete_model_package_group_policy(**group)
    arn = sagemaker.create_model_package(
        **group, InferenceSpecification={"Containers": [{"Image": rehearsal.push("tiny")}]}
    )["ModelPackageArn"]
    sagemaker.describe_model_package(ModelPackageName=arn), sagemaker.list_model_packages(**group)
    sagemaker.batch_describe_model_package(ModelPackageArnList=[arn])
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(**group)


def batch(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_transform_job(
        TransformJobName="job", ModelName="walk", TransformOutput={"S3OutputPath": "s3://walk/jobs"},
        TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://walk/in"}}},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )  # fmt: skip
    sagemaker.stop_transform_job(TransformJobName="job")
    settled(lambda: sagemaker.describe_transform_job(TransformJobName="job"), "TransformJobStatus")
    assert len(sagemaker.list_transform_jobs()["TransformJobSummaries"]) == 1


def scaling(rehearsal: Rehearsal) -> None:
    client = rehearsal.client("application-autoscaling")
    which = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/walk/variant/AllTraffic",
             "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
    arn = client.register_scalable_target(**which, MinCapacity=1, MaxCapacity=2)["ScalableTargetARN"]
    client.describe_scalable_targets(ServiceNamespace="sagemaker")
    tracking = {
        "TargetValue": 1e6,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    client.put_scaling_policy(
        **which, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=tracking
    )
    client.describe_scaling_policies(ServiceNamespace="sagemaker")
    client.describe_scaling_activities(ServiceNamespace="sagemaker")
    client.tag_resource(ResourceARN=arn, Tags={"a": "b"})
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"a": "b"}
    client.untag_resource(ResourceARN=arn, TagKeys=["a"])
    client.delete_scaling_policy(**which, PolicyName="p")
    client.deregister_scalable_target(**which)


def components(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    sagemaker.create_endpoint_config(
        EndpointConfigName="house", ExecutionRoleArn=rehearsal.role(),
        ProductionVariants=[{"VariantName": "a", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}],
    )  # fmt: skip
    sagemaker.create_endpoint(EndpointName="house", EndpointConfigName="house")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="house", WaiterConfig=FAST)
    specification = {"ModelName": "walk", "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 256}}
    part = {"InferenceComponentName": "part"}
    sagemaker.create_inference_component(**part, EndpointName="house", VariantName="a", Specification=specification)

    def state() -> dict[str, Any]:
        return dict(sagemaker.describe_inference_component(**part))

    settled(state, "InferenceComponentStatus")
    assert len(sagemaker.list_inference_components()["InferenceComponents"]) == 1
    sagemaker.update_inference_component_runtime_config(**part, DesiredRuntimeConfig={"CopyCount": 1})
    settled(state, "InferenceComponentStatus")
    sagemaker.update_inference_component(**part, Specification=specification)
    settled(state, "InferenceComponentStatus")
    sagemaker.delete_inference_component(**part)
    while sagemaker.list_inference_components()["InferenceComponents"]:
        pass


def images(rehearsal: Rehearsal) -> None:
    ecr = rehearsal.client("ecr")
    here = {"repositoryName": "tiny"}
    arn = ecr.describe_repositories(repositoryNames=["tiny"])["repositories"][0]["repositoryArn"]
    upload(ecr, "tiny", b"layer")
    ecr.batch_check_layer_availability(**here, layerDigests=[digest(b"layer")])
    ecr.get_download_url_for_layer(**here, layerDigest=digest(b"layer"))
    first = ecr.list_images(**here)["imageIds"][0]
    ecr.describe_images(**here)
    manifest = ecr.batch_get_image(**here, imageIds=[first])["images"][0]["imageManifest"]
    ecr.put_image(**here, imageManifest=manifest, imageTag="again")
    rule = {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan",
            "countNumber": 3}, "action": {"type": "expire"}}  # fmt: skip
    ecr.put_lifecycle_policy(**here, lifecyclePolicyText=json.dumps({"rules": [rule]}))
    ecr.get_lifecycle_policy(**here), ecr.delete_lifecycle_policy(**here)
    ecr.set_repository_policy(**here, policyText='{"Statement": []}')
    ecr.get_repository_policy(**here), ecr.delete_repository_policy(**here)
    ecr.put_image_tag_mutability(**here, imageTagMutability="MUTABLE")
    ecr.put_image_scanning_configuration(**here, imageScanningConfiguration={"scanOnPush": False})
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "b"}])
    ecr.list_tags_for_resource(resourceArn=arn), ecr.untag_resource(resourceArn=arn, tagKeys=["a"])
    ecr.describe_registry(), ecr.get_authorization_token()


def endings(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    for name in ("walk", "house"):
        rehearsal.delete(name)
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName="walk")
    ecr = rehearsal.client("ecr")
    ecr.batch_delete_image(repositoryName="tiny", imageIds=[{"imageTag": "again"}])
    ecr.delete_repository(repositoryName="tiny", force=True)
