"""A plan for other platforms: Kubernetes, KServe, Azure ML. Pure; the image is the same, and answers alike.

The image serves on port 8080 by itself: ``/ping`` says that it lives, ``/invocations`` answers. The model must be in
it, for only SageMaker lays an archive out beside it.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from penstock.deploy.resources import Kind
from penstock.deploy.steps import Plan
from penstock.ground.errors import InvalidInput

_PORT = 8080
_PING = {"httpGet": {"path": "/ping", "port": _PORT}, "timeoutSeconds": 2}
# As SageMaker waits: 480 s to become healthy.
_STARTUP = {**_PING, "periodSeconds": 5, "failureThreshold": 96}


def as_kubernetes(plan: Plan) -> str:
    """A Deployment for each variant, one Service before all of them, and an autoscaler where the variant scales."""
    documents: list[dict[str, Any]] = []
    for variant in plan.config["ProductionVariants"]:
        documents.append(_deployment(plan, variant))
        documents += _autoscalers(plan, variant)
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": _name(plan.name), "labels": _labels(plan)},
        "spec": {"selector": _labels(plan), "ports": [{"name": "http", "port": 80, "targetPort": _PORT}]},
    }  # fmt: skip
    return yaml.safe_dump_all([*documents, service], sort_keys=False)


def as_kserve(plan: Plan) -> str:
    """KServe's InferenceService of the plan's first variant; a canary's share is KServe's own to set."""
    variant = plan.config["ProductionVariants"][0]
    container = _container(plan, variant["VariantName"], name="kserve-container")
    low, high = _bounds(plan, variant)
    predictor = {"minReplicas": low, "maxReplicas": high, "containers": [container]}
    document = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": _name(plan.name), "labels": _labels(plan)}, "spec": {"predictor": predictor},
    }  # fmt: skip
    return yaml.safe_dump(document, sort_keys=False)


def as_azureml(plan: Plan) -> str:
    """Azure ML's managed online endpoint and its deployments; Azure's instance types are yours to choose."""
    weights = {variant["VariantName"]: variant["InitialVariantWeight"] for variant in plan.config["ProductionVariants"]}
    total = sum(weights.values()) or 1.0
    endpoint = {
        "$schema": f"{_AZURE}/managedOnlineEndpoint.schema.json", "name": plan.name, "auth_mode": "key",
        "traffic": {name: round(100 * weight / total) for name, weight in weights.items()},
    }  # fmt: skip
    deployments = [_azure_deployment(plan, variant) for variant in plan.config["ProductionVariants"]]
    return yaml.safe_dump_all([endpoint, *deployments], sort_keys=False)


_AZURE = "https://azuremlschemas.azureedge.net/latest"


def _azure_deployment(plan: Plan, variant: dict[str, Any]) -> dict[str, Any]:
    model = _model(plan, variant["VariantName"])
    routes = {kind: {"path": "/ping", "port": _PORT} for kind in ("liveness_route", "readiness_route")}
    routes["scoring_route"] = {"path": "/invocations", "port": _PORT}
    return {
        "$schema": f"{_AZURE}/managedOnlineDeployment.schema.json",
        "name": variant["VariantName"],
        "endpoint_name": plan.name,
        "environment": {"image": model["Image"], "inference_config": routes},
        "environment_variables": model.get("Environment", {}),
        "instance_type": "Standard_DS3_v2",
        "instance_count": variant.get("InitialInstanceCount", 1),
        "request_settings": {"request_timeout_ms": 60_000},
    }


def _deployment(plan: Plan, variant: dict[str, Any]) -> dict[str, Any]:
    labels = {**_labels(plan), "variant": _name(variant["VariantName"])}
    container = _container(plan, variant["VariantName"], name="model")
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _name(f"{plan.name}-{variant['VariantName']}"), "labels": labels},
        "spec": {
            "replicas": variant.get("InitialInstanceCount", 1),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _autoscalers(plan: Plan, variant: dict[str, Any]) -> list[dict[str, Any]]:
    low, high = _bounds(plan, variant)
    if low == high:
        return []
    name = _name(f"{plan.name}-{variant['VariantName']}")
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": low, "maxReplicas": high, "metrics": [cpu],
    }  # fmt: skip
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    return [{**kind, "metadata": {"name": name, "labels": _labels(plan)}, "spec": spec}]


def _container(plan: Plan, variant: str, *, name: str) -> dict[str, Any]:
    model = _model(plan, variant)
    return {
        "name": name,
        "image": model["Image"],
        "env": [{"name": key, "value": value} for key, value in model.get("Environment", {}).items()],
        "ports": [{"containerPort": _PORT}],
        "startupProbe": _STARTUP,
        "readinessProbe": {**_PING, "periodSeconds": 5},
        "livenessProbe": {**_PING, "periodSeconds": 10},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _model(plan: Plan, variant: str) -> dict[str, Any]:
    """The variant's container as CreateModel has it. Raises InvalidInput when its model is in an archive beside it."""
    names = {one["VariantName"]: one["ModelName"] for one in plan.config["ProductionVariants"]}
    for step in plan.steps:
        if step.resource.kind is Kind.MODEL and step.resource.name == names[variant] and step.spec:
            container: dict[str, Any] = step.spec["PrimaryContainer"]
            if container.get("ModelDataUrl"):
                fix = "Add --model-in image, which puts the model into the image."
                raise InvalidInput("The model is in an archive, which only SageMaker lays out.", fix=fix)
            return container
    raise InvalidInput(f"The plan does not say what {variant!r} runs.", fix="Plan all variants at once.")


def _bounds(plan: Plan, variant: dict[str, Any]) -> tuple[int, int]:
    """The least and most instances: the plan's scaling, else the count."""
    for step in plan.steps:
        if step.resource.kind is Kind.SCALING and step.resource.name.endswith(f"/variant/{variant['VariantName']}"):
            target = step.spec["target"]
            return target["MinCapacity"], target["MaxCapacity"]
    count = variant.get("InitialInstanceCount", 1)
    return count, count


def _labels(plan: Plan) -> dict[str, str]:
    return {"app.kubernetes.io/name": _name(plan.name), "app.kubernetes.io/managed-by": "penstock"}


def _name(text: str) -> str:
    """A DNS label: lower case, at most 63 characters."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower())[:63].strip("-")
