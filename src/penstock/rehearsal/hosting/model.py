"""Models: CreateModel, DescribeModel, ListModels, DeleteModel."""

from __future__ import annotations

from typing import Any

from penstock.rehearsal.fleet.plan import containers_of
from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.packages import containers_of_package
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import invalid, missing, taken

KIND = "model"


class Model(Recorded, frozen=True, kw_only=True):
    """``request`` is what CreateModel was given; DescribeModel shows it again.

    ``resolved`` are the container definitions that its model packages stood for, if it names any.
    """

    request: dict[str, Any]
    resolved: list[dict[str, Any]] | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """The request with its model packages' containers in their place: what is run."""
        if self.resolved is None:
            return self.request
        kept = {name: value for name, value in self.request.items() if name not in ("PrimaryContainer", "Containers")}
        return {**kept, "Containers": self.resolved}


def create_model(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    arn = sagemaker_arn(KIND, request["ModelName"], region=call.region, account=call.account)
    if hosting.journal.find(KIND, call.region, request["ModelName"], Model):
        raise taken("model", arn)
    _check_containers(request)
    model = Model(
        name=request["ModelName"], region=call.region, arn=arn, created_ms=call.now_ms,
        tags=tag_map(request.get("Tags", [])), request={key: request[key] for key in request if key != "Tags"},
        resolved=_resolved(hosting, call),
    )  # fmt: skip
    hosting.checks.check_model(model.definition, call)
    if not hosting.journal.add(KIND, model):
        raise taken("model", arn)
    return {"ModelArn": arn}


def describe_model(hosting: Hosting, call: Call) -> dict[str, Any]:
    model = get_model(hosting, call, call.parameters["ModelName"])
    shown = dict(model.request)
    shown.setdefault("EnableNetworkIsolation", False)
    return {**shown, "ModelArn": model.arn, "CreationTime": epoch(model.created_ms)}


def list_models(hosting: Hosting, call: Call) -> dict[str, Any]:
    return list_page(hosting.journal.all(KIND, Model, region=call.region), call.parameters, row=_row, answer="Models")


def delete_model(hosting: Hosting, call: Call) -> dict[str, Any]:
    """Deletes the model; allowed while endpoints use it, as on AWS."""
    model = get_model(hosting, call, call.parameters["ModelName"])
    hosting.journal.remove(KIND, call.region, model.name)
    return {}


def get_model(hosting: Hosting, call: Call, name: str) -> Model:
    model = hosting.journal.find(KIND, call.region, name, Model)
    if model is None:
        raise missing("model", sagemaker_arn(KIND, name, region=call.region, account=call.account))
    return model


def _row(model: Model) -> dict[str, Any]:
    return {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": epoch(model.created_ms)}


def _check_containers(request: dict[str, Any]) -> None:
    if request.get("PrimaryContainer") and request.get("Containers"):
        raise invalid("Both PrimaryContainer and Containers were given; exactly one of them is needed.")
    containers = containers_of(request)
    if not containers:
        raise invalid("Either PrimaryContainer or Containers must be given.")
    if "ExecutionRoleArn" not in request:
        raise invalid("ExecutionRoleArn is required to create a model.")
    names = [container["ContainerHostname"] for container in containers if "ContainerHostname" in container]
    if len(names) != len(set(names)):
        raise invalid("ContainerHostname must be unique for each container of a model.")
    if request.get("InferenceExecutionConfig", {}).get("Mode") == "Direct" and len(names) < len(containers):
        raise invalid("ContainerHostname is required for each container that is to be invoked directly.")
    for container in containers:
        _check_multi_model(container, alone=len(containers) == 1)
        if container.get("Image") and container.get("ModelPackageName"):
            raise invalid("Only one of Image and ModelPackageName may be given for a container.")
        if not container.get("Image") and not container.get("ModelPackageName"):
            raise invalid("Either Image or ModelPackageName must be given for each container.")


def _resolved(hosting: Hosting, call: Call) -> list[dict[str, Any]] | None:
    """The containers with model packages' own in their place; None where no package is named."""
    containers = containers_of(call.parameters)
    if not any("ModelPackageName" in container for container in containers):
        return None
    resolved: list[dict[str, Any]] = []
    for container in containers:
        if "ModelPackageName" not in container:
            resolved.append(container)
            continue
        for found in containers_of_package(hosting, call, container["ModelPackageName"]):
            environment = {**found.get("Environment", {}), **container.get("Environment", {})}
            resolved.append({**found, "Environment": environment})
    return resolved


def _check_multi_model(container: dict[str, Any], *, alone: bool) -> None:
    if container.get("Mode") != "MultiModel":
        return
    if not alone:
        raise invalid("A container in MultiModel mode must be its model's only one on this plane.")
    if not container.get("ModelDataUrl"):
        raise invalid("ModelDataUrl, the prefix under which the models lie, is required for the MultiModel mode.")
