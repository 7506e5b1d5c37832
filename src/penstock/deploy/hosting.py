"""The three resources that make up hosting: model, endpoint config and endpoint."""

from __future__ import annotations

from typing import Any

from penstock.deploy.kinds import Making
from penstock.deploy.resources import tag_list
from penstock.deploy.session import patiently
from penstock.deploy.translate import aws_message
from penstock.ground.errors import AlreadyExists, PenstockError

# A new role reaches SageMaker, and a new config the endpoint service, only some seconds after it was made.
ROLE_PATIENCE_S = 60.0
CONFIG_PATIENCE_S = 20.0


class ModelKind:
    """SageMaker models. Their names depend on their content, so one that exists is the one that is wanted."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        body = {**spec, "ModelName": name, "Tags": tag_list(making.tags)}
        _make_patiently(
            making, "create_model", body, "Could not assume role", ROLE_PATIENCE_S if making.fresh_role else 0.0
        )

    def remove(self, making: Making, name: str) -> None:
        making.aws.find("sagemaker", "delete_model", ModelName=name)

    def exists(self, making: Making, name: str) -> bool:
        return making.aws.find("sagemaker", "describe_model", ModelName=name) is not None


class ConfigKind:
    """Endpoint configs: immutable, and named by their content too."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        body = {**spec, "EndpointConfigName": name, "Tags": tag_list(making.tags)}
        _make_patiently(making, "create_endpoint_config", body, "Could not find model", CONFIG_PATIENCE_S)

    def remove(self, making: Making, name: str) -> None:
        making.aws.find("sagemaker", "delete_endpoint_config", EndpointConfigName=name)

    def exists(self, making: Making, name: str) -> bool:
        return making.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) is not None


class EndpointKind:
    """The endpoint itself. Making returns while it is still Creating; waiting is another matter (wait.py)."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        body = {**spec, "EndpointName": name, "Tags": tag_list(making.tags)}
        _make_patiently(making, "create_endpoint", body, "Could not find endpoint configuration", CONFIG_PATIENCE_S)

    def remove(self, making: Making, name: str) -> None:
        """Asks for the deletion; delete.py waits for its end."""
        making.aws.find("sagemaker", "delete_endpoint", EndpointName=name)

    def exists(self, making: Making, name: str) -> bool:
        return making.aws.find("sagemaker", "describe_endpoint", EndpointName=name) is not None


def update_endpoint(making: Making, name: str, spec: dict[str, Any]) -> None:
    """Moves the endpoint to another config, or its weights and counts, as ``spec`` says; returns at once."""
    if "DesiredWeightsAndCapacities" in spec:
        making.aws.call("sagemaker", "update_endpoint_weights_and_capacities", EndpointName=name, **spec)
        return

    def update() -> None:
        making.aws.call("sagemaker", "update_endpoint", EndpointName=name, **spec)

    patiently(
        update,
        while_failing=lambda error: "Could not find endpoint configuration" in aws_message(error),
        limit_s=CONFIG_PATIENCE_S,
        clock=making.clock,
    )


def _make_patiently(making: Making, operation: str, body: dict[str, Any], passing: str, limit_s: float) -> None:
    """Creates once, however often asked: "already exists" means that an earlier answer was lost on its way."""

    def create() -> None:
        try:
            making.aws.call("sagemaker", operation, **body)
        except AlreadyExists:
            return

    def passes(error: PenstockError) -> bool:
        return passing in aws_message(error)

    patiently(create, while_failing=passes, limit_s=limit_s, clock=making.clock)
