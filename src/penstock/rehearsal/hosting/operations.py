"""The table of SageMaker's operations that the plane offers, and the one way in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.rehearsal.batch import job as transform
from penstock.rehearsal.hosting import (
    component,
    components,
    endpoint_config,
    endpoints,
    model,
    package_groups,
    packages,
    tags,
)
from penstock.rehearsal.hosting.endpoint import Endpoint
from penstock.rehearsal.hosting.service import Hosting, Operation
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.awsjson import Call

TAGGED: dict[str, type[Recorded]] = {
    model.KIND: model.Model,
    endpoint_config.KIND: endpoint_config.EndpointConfig,
    endpoints.KIND: Endpoint,
    transform.KIND: transform.TransformJob,
    component.KIND: component.Component,
    package_groups.KIND: package_groups.PackageGroup,
    packages.KIND: packages.ModelPackage,
}

OPERATIONS: dict[str, Operation] = {
    "CreateModel": model.create_model,
    "DescribeModel": model.describe_model,
    "ListModels": model.list_models,
    "DeleteModel": model.delete_model,
    "CreateEndpointConfig": endpoint_config.create_endpoint_config,
    "DescribeEndpointConfig": endpoint_config.describe_endpoint_config,
    "ListEndpointConfigs": endpoint_config.list_endpoint_configs,
    "DeleteEndpointConfig": endpoint_config.delete_endpoint_config,
    "CreateEndpoint": endpoints.create_endpoint,
    "DescribeEndpoint": endpoints.describe_endpoint,
    "ListEndpoints": endpoints.list_endpoints,
    "UpdateEndpoint": endpoints.update_endpoint,
    "UpdateEndpointWeightsAndCapacities": endpoints.update_endpoint_weights_and_capacities,
    "DeleteEndpoint": endpoints.delete_endpoint,
    "CreateTransformJob": transform.create_transform_job,
    "DescribeTransformJob": transform.describe_transform_job,
    "ListTransformJobs": transform.list_transform_jobs,
    "StopTransformJob": transform.stop_transform_job,
    "CreateModelPackageGroup": package_groups.create_model_package_group,
    "DescribeModelPackageGroup": package_groups.describe_model_package_group,
    "ListModelPackageGroups": package_groups.list_model_package_groups,
    "DeleteModelPackageGroup": packages.delete_model_package_group,
    "PutModelPackageGroupPolicy": package_groups.put_policy,
    "GetModelPackageGroupPolicy": package_groups.get_policy,
    "DeleteModelPackageGroupPolicy": package_groups.delete_policy,
    "CreateModelPackage": packages.create_model_package,
    "DescribeModelPackage": packages.describe_model_package,
    "BatchDescribeModelPackage": packages.batch_describe_model_package,
    "ListModelPackages": packages.list_model_packages,
    "UpdateModelPackage": packages.update_model_package,
    "DeleteModelPackage": packages.delete_model_package,
    "CreateInferenceComponent": components.create_inference_component,
    "DescribeInferenceComponent": components.describe_inference_component,
    "ListInferenceComponents": components.list_inference_components,
    "UpdateInferenceComponent": components.update_inference_component,
    "UpdateInferenceComponentRuntimeConfig": components.update_inference_component_runtime_config,
    "DeleteInferenceComponent": components.delete_inference_component,
    "AddTags": partial(tags.add_tags, kinds=TAGGED),
    "ListTags": partial(tags.list_tags, kinds=TAGGED),
    "DeleteTags": partial(tags.delete_tags, kinds=TAGGED),
}

Handler = Callable[[Call], dict[str, Any]]


def handlers(hosting: Hosting) -> dict[str, Handler]:
    """Every offered operation as a function of a call."""
    return {name: partial(operation, hosting) for name, operation in OPERATIONS.items()}
