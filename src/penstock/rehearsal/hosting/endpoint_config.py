"""Endpoint configs, which never change: CreateEndpointConfig, DescribeEndpointConfig, List, Delete."""

from __future__ import annotations

from typing import Any

from penstock.rehearsal.fleet.plan import containers_of
from penstock.rehearsal.hosting.instances import check_variant_instances
from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.model import get_model
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import invalid, missing, taken

KIND = "endpoint-config"


class EndpointConfig(Recorded, frozen=True, kw_only=True):
    """``request`` is what CreateEndpointConfig was given; DescribeEndpointConfig shows it again."""

    request: dict[str, Any]


def create_endpoint_config(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    name = request["EndpointConfigName"]
    arn = sagemaker_arn(KIND, name, region=call.region, account=call.account)
    _check_variants(hosting, call)
    config = EndpointConfig(
        name=name, region=call.region, arn=arn, created_ms=call.now_ms, tags=tag_map(request.get("Tags", [])),
        request=_with_defaults(request),
    )  # fmt: skip
    if not hosting.journal.add(KIND, config):
        raise taken("endpoint configuration", arn)
    return {"EndpointConfigArn": arn}


def describe_endpoint_config(hosting: Hosting, call: Call) -> dict[str, Any]:
    config = get_config(hosting, call, call.parameters["EndpointConfigName"])
    return {**config.request, "EndpointConfigArn": config.arn, "CreationTime": epoch(config.created_ms)}


def list_endpoint_configs(hosting: Hosting, call: Call) -> dict[str, Any]:
    configs = hosting.journal.all(KIND, EndpointConfig, region=call.region)
    return list_page(configs, call.parameters, row=_row, answer="EndpointConfigs")


def delete_endpoint_config(hosting: Hosting, call: Call) -> dict[str, Any]:
    """Deletes the config; accepted while an endpoint uses it, whose later updates then miss it, as on AWS."""
    config = get_config(hosting, call, call.parameters["EndpointConfigName"])
    hosting.journal.remove(KIND, call.region, config.name)
    return {}


def get_config(hosting: Hosting, call: Call, name: str) -> EndpointConfig:
    config = hosting.journal.find(KIND, call.region, name, EndpointConfig)
    if config is None:
        raise missing("endpoint configuration", sagemaker_arn(KIND, name, region=call.region, account=call.account))
    return config


def _row(config: EndpointConfig) -> dict[str, Any]:
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": epoch(config.created_ms),
    }


def _with_defaults(request: dict[str, Any]) -> dict[str, Any]:
    kept = {key: request[key] for key in request if key != "Tags"}
    kept["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **item} for item in request["ProductionVariants"]]
    kept.setdefault("EnableNetworkIsolation", False)
    return kept


def _check_variants(hosting: Hosting, call: Call) -> None:
    variants = call.parameters["ProductionVariants"] + call.parameters.get("ShadowProductionVariants", [])
    names = [variant["VariantName"] for variant in variants]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise invalid(f"Variant names must be unique; {', '.join(repeated)} is given more than once.")
    bare = [variant["VariantName"] for variant in variants if "ModelName" not in variant]
    if bare and len(bare) < len(variants):
        raise invalid(f"Either all variants name a model or none does; {', '.join(bare)} names none.")
    if bare:
        if "ExecutionRoleArn" not in call.parameters:
            raise invalid("ExecutionRoleArn is required for variants without models, which host inference components.")
        hosting.checks.check_role(call.parameters["ExecutionRoleArn"], call)
    for variant in variants:
        _check_variant(hosting, call, variant)


def _check_variant(hosting: Hosting, call: Call, variant: dict[str, Any]) -> None:
    name = variant.get("ModelName")
    if name is None:
        if "ServerlessConfig" in variant or "AsyncInferenceConfig" in call.parameters:
            raise invalid("Inference components need instances and synchronous invocations.")
        check_variant_instances(variant, call.parameters)
        return
    model = get_model(hosting, call, name)
    check_variant_instances(variant, call.parameters)
    containers = containers_of(model.definition)
    if "ServerlessConfig" in variant and (len(containers) > 1 or containers[0].get("Mode") == "MultiModel"):
        raise invalid("A serverless variant takes a model of one container with one model.")
    for container in containers:
        if "Image" in container:
            hosting.checks.check_instance(container["Image"], variant.get("InstanceType", "ml.m5.large"))
