"""An inference component as the plane knows it, its states, and what must be launched for it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.fleet.plan import STARTUP_SECONDS, FleetPlan, VariantPlan, container_plan, containers_of
from penstock.rehearsal.hosting.endpoint import DeployedImage, image_summary
from penstock.rehearsal.hosting.instances import cores_of, memory_bytes_of
from penstock.rehearsal.hosting.states import clipped
from penstock.rehearsal.journal import Journal, Recorded
from penstock.rehearsal.wire.awsjson import epoch

KIND = "inference-component"
CREATING, IN_SERVICE, UPDATING, FAILED, DELETING = "Creating", "InService", "Updating", "Failed", "Deleting"
BUSY = frozenset({CREATING, UPDATING, DELETING})


class Component(Recorded, frozen=True, kw_only=True):
    """``plan`` says what its copies run; ``wanted_plan`` what an update under way is to make them run."""

    endpoint: str
    endpoint_arn: str
    variant: str
    specification: dict[str, Any]
    plan: FleetPlan
    copies: int
    current: int = 0
    status: str = CREATING
    modified_ms: int
    images: tuple[DeployedImage, ...] = ()
    failure_reason: str | None = None
    wanted_plan: FleetPlan | None = None
    wanted_specification: dict[str, Any] | None = None
    deployment: dict[str, Any] | None = None


def plan_component(
    variant: str, specification: dict[str, Any], model: dict[str, Any] | None, instance_type: str | None
) -> FleetPlan:
    """The plan of a component's copies: a fleet of one variant, named as the endpoint's."""
    given = specification.get("Container", {})
    definition = model or {"PrimaryContainer": {
        "Image": given.get("Image", ""), "Environment": given.get("Environment", {}),
        **({"ModelDataUrl": given["ArtifactUrl"]} if "ArtifactUrl" in given else {}),
    }}  # fmt: skip
    first, *others = [container_plan(container) for container in containers_of(definition)]
    needs = specification["ComputeResourceRequirements"]
    megabytes = needs.get("MaxMemoryRequiredInMb")
    startup = specification.get("StartupParameters", {}).get("ContainerStartupHealthCheckTimeoutInSeconds")
    plan = VariantPlan(
        name=variant, model_name=specification.get("ModelName", ""), container=first, others=tuple(others),
        instance_type=instance_type, startup_s=startup or STARTUP_SECONDS,
        memory_bytes=megabytes * 2**20 if megabytes else memory_bytes_of(instance_type or ""),
    )  # fmt: skip
    return FleetPlan(config_name="", config={}, variants=(plan,))


def lacking(components: list[Component], instance_type: str, instances: int) -> str | None:
    """Which resource the copies of these components exceed, all together or one alone; None if they fit."""
    limits = {"cores": float(cores_of(instance_type)), "memory in MB": memory_bytes_of(instance_type) / 2**20}
    needs = [(_needs(component), component.copies) for component in components]
    for name, limit in limits.items():
        total = sum(each[name] * copies for each, copies in needs)
        largest = max((each[name] for each, _ in needs), default=0.0)
        if total > limit * instances or largest > limit:
            return f"{name}: {total:g} asked for, {limit * instances:g} on {instances} {instance_type}"
    return None


def served(component: Component, images: tuple[DeployedImage, ...], *, now_ms: int) -> Component:
    """InService with what was wanted."""
    return replace(
        component, status=IN_SERVICE, current=component.copies, images=images, modified_ms=now_ms,
        plan=component.wanted_plan or component.plan, wanted_plan=None, wanted_specification=None,
        specification=component.wanted_specification or component.specification,
    )  # fmt: skip


def failed(component: Component, reason: str, *, now_ms: int) -> Component:
    """Failed for good (a create), or InService as it was (an update), with the reason."""
    if component.status == UPDATING and component.images:
        return replace(
            component, status=IN_SERVICE, failure_reason=clipped(reason), modified_ms=now_ms, wanted_plan=None,
            wanted_specification=None, copies=component.current,
        )  # fmt: skip
    return replace(component, status=FAILED, failure_reason=clipped(reason), modified_ms=now_ms, current=0)


def describe(component: Component) -> dict[str, Any]:
    """DescribeInferenceComponent's answer."""
    specification = dict(component.specification)
    container = specification.pop("Container", None)
    if container is not None:
        shown = {key: value for key, value in container.items() if key != "Image"}
        if component.images:
            shown["DeployedImage"] = image_summary(component.images[0])
        specification["Container"] = shown
    return {
        **row(component), "FailureReason": component.failure_reason, "Specification": specification,
        "RuntimeConfig": {"DesiredCopyCount": component.copies, "CurrentCopyCount": component.current},
        "LastDeploymentConfig": component.deployment,
    }  # fmt: skip


def row(component: Component) -> dict[str, Any]:
    """One row of ListInferenceComponents."""
    return {
        "InferenceComponentName": component.name, "InferenceComponentArn": component.arn,
        "EndpointName": component.endpoint, "EndpointArn": component.endpoint_arn, "VariantName": component.variant,
        "InferenceComponentStatus": component.status, "CreationTime": epoch(component.created_ms),
        "LastModifiedTime": epoch(component.modified_ms),
    }  # fmt: skip


def _needs(component: Component) -> dict[str, float]:
    asked = (component.wanted_specification or component.specification)["ComputeResourceRequirements"]
    return {
        "cores": float(asked.get("NumberOfCpuCoresRequired", 0)),
        "memory in MB": float(asked["MinMemoryRequiredInMb"]),
    }


def components_of(journal: Journal, region: str, endpoint: str) -> list[str]:
    """The names of an endpoint's inference components."""
    return [each.name for each in journal.all(KIND, Component, region=region) if each.endpoint == endpoint]
