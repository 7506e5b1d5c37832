"""Inference components' operations: Create, Describe, List, Update, UpdateRuntimeConfig, Delete."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.fleet.plan import FleetPlan
from penstock.rehearsal.hosting import component as states
from penstock.rehearsal.hosting.component import BUSY, DELETING, KIND, UPDATING, Component, plan_component
from penstock.rehearsal.hosting.endpoint import Endpoint, Status
from penstock.rehearsal.hosting.endpoints import get_endpoint
from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.model import get_model
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import invalid, missing, taken


def create_inference_component(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    name = request["InferenceComponentName"]
    arn = sagemaker_arn(KIND, name, region=call.region, account=call.account)
    specification = _specification(request)
    with hosting.journal.transaction():
        endpoint = get_endpoint(hosting, call)
        variant = _variant(endpoint, request.get("VariantName"))
        component = Component(
            name=name, region=call.region, arn=arn, created_ms=call.now_ms, modified_ms=call.now_ms,
            tags=tag_map(request.get("Tags", [])), endpoint=endpoint.name, endpoint_arn=endpoint.arn, variant=variant,
            specification=specification, plan=_plan(hosting, call, endpoint, variant, specification),
            copies=request.get("RuntimeConfig", {}).get("CopyCount", 1),
        )  # fmt: skip
        if not hosting.journal.add(KIND, component):
            raise taken("inference component", arn)
    hosting.wake_component(call.region, name)
    return {"InferenceComponentArn": arn}


def describe_inference_component(hosting: Hosting, call: Call) -> dict[str, Any]:
    return states.describe(get_component(hosting, call))


def list_inference_components(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    components = [
        component for component in hosting.journal.all(KIND, Component, region=call.region)
        if request.get("EndpointNameEquals") in (None, component.endpoint)
        and request.get("VariantNameEquals") in (None, component.variant)
    ]  # fmt: skip
    return list_page(
        components, request, row=states.row, answer="InferenceComponents",
        modified_ms=lambda component: int(component.modified_ms), status=lambda component: str(component.status),
    )  # fmt: skip


def update_inference_component(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    with hosting.journal.transaction():
        component = _idle(get_component(hosting, call))
        wanted = _specification(request) if "Specification" in request or "Specifications" in request else None
        plan = None
        if wanted is not None:
            endpoint = hosting.journal.find("endpoint", call.region, component.endpoint, Endpoint)
            assert endpoint is not None  # it cannot be deleted while it has components
            plan = _plan(hosting, call, endpoint, component.variant, wanted)
        copies = request.get("RuntimeConfig", {}).get("CopyCount", component.copies)
        hosting.journal.put(KIND, replace(
            component, status=UPDATING, wanted_plan=plan, wanted_specification=wanted, copies=copies,
            modified_ms=call.now_ms, failure_reason=None, deployment=request.get("DeploymentConfig"),
        ))  # fmt: skip
    hosting.wake_component(call.region, component.name)
    return {"InferenceComponentArn": component.arn}


def update_inference_component_runtime_config(hosting: Hosting, call: Call) -> dict[str, Any]:
    copies = call.parameters["DesiredRuntimeConfig"]["CopyCount"]
    component = get_component(hosting, call)
    resize_component(hosting, call.region, component.name, copies, now_ms=call.now_ms)
    return {"InferenceComponentArn": component.arn}


def resize_component(hosting: Hosting, region: str, name: str, copies: int, *, now_ms: int) -> None:
    """Asks for a number of copies. Raises AwsError while something is in progress."""
    with hosting.journal.transaction():
        component = hosting.journal.find(KIND, region, name, Component)
        if component is None:
            raise invalid(f"There is no inference component {name}.")
        hosting.journal.put(KIND, replace(
            _idle(component), status=UPDATING, copies=copies, modified_ms=now_ms, failure_reason=None
        ))  # fmt: skip
    hosting.wake_component(region, name)


def delete_inference_component(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        component = _idle(get_component(hosting, call))
        hosting.journal.put(KIND, replace(component, status=DELETING, modified_ms=call.now_ms))
    hosting.wake_component(call.region, component.name)
    return {}


def get_component(hosting: Hosting, call: Call) -> Component:
    name = call.parameters["InferenceComponentName"]
    component = hosting.journal.find(KIND, call.region, name, Component)
    if component is None:
        arn = sagemaker_arn(KIND, name, region=call.region, account=call.account)
        raise missing("inference component", arn)
    return component


def _idle(component: Component) -> Component:
    """The component. Raises AwsError while something is in progress on it."""
    if component.status in BUSY:
        raise invalid(f'Cannot update in-progress inference component "{component.arn}".')
    return component


def _specification(request: dict[str, Any]) -> dict[str, Any]:
    specification: dict[str, Any] | None = request.get("Specification")
    if "Specifications" in request:
        raise invalid("Specifications for several instance types are not offered by this plane; give Specification.")
    if specification is None:
        raise invalid("Specification is required.")
    if "BaseInferenceComponentName" in specification:
        raise invalid("Adapters of a base inference component are not offered by this plane.")
    if ("ModelName" in specification) == ("Container" in specification):
        raise invalid("Exactly one of ModelName and Container must be given in the specification.")
    if "ComputeResourceRequirements" not in specification:
        raise invalid("ComputeResourceRequirements is required in the specification.")
    if "Container" in specification and "Image" not in specification["Container"]:
        raise invalid("Image is required for a container.")
    return specification


def _variant(endpoint: Endpoint, name: str | None) -> str:
    """The variant that takes the component. Raises AwsError."""
    if endpoint.status is not Status.IN_SERVICE:
        raise invalid(f'The endpoint "{endpoint.arn}" is {endpoint.status}; it must be InService.')
    names = [variant.name for variant in endpoint.plan.variants]
    if name is None and len(names) > 1:
        raise invalid(f"VariantName is required; the endpoint has {', '.join(names)}.")
    found = next((each for each in endpoint.plan.variants if each.name == (name or names[0])), None)
    if found is None:
        raise invalid(f'The variant name "{name}" was not found in endpoint "{endpoint.arn}".')
    if not found.hosts_components:
        raise invalid(f'The variant "{found.name}" has a model of its own and takes no inference components.')
    return found.name


def _plan(hosting: Hosting, call: Call, endpoint: Endpoint, variant: str, specification: dict[str, Any]) -> FleetPlan:
    """What the component's copies run. Raises AwsError if its image or model will not do."""
    instance_type = next(each.instance_type for each in endpoint.plan.variants if each.name == variant)
    model = get_model(hosting, call, specification["ModelName"]).definition if "ModelName" in specification else None
    plan = plan_component(variant, specification, model, instance_type)
    given = specification.get("Container")
    if given is not None:
        artifact = {"ModelDataUrl": given["ArtifactUrl"]} if "ArtifactUrl" in given else {}
        hosting.checks.check_container({"Image": given["Image"], **artifact}, call)
    for container in plan.variants[0].containers:
        hosting.checks.check_instance(container.image, instance_type or "ml.m5.large")
    return plan
