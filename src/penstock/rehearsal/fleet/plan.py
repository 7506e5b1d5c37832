"""From an endpoint config and its models to what must be launched: a value that is kept with the endpoint."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.rehearsal.hosting.instances import memory_bytes_of

STARTUP_SECONDS = 8 * 60.0
SERVERLESS_STARTUP_SECONDS = 3 * 60.0


class ContainerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One container of a variant, as its model defined it."""

    image: str
    environment: dict[str, str] = {}
    model_uri: str | None = None
    model_is_prefix: bool = False
    hostname: str | None = None
    multi_model: bool = False
    cache_models: bool = True


class VariantPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one production variant runs; ``others`` are the containers after the first, ``direct`` how they are called.

    A pipeline's containers take each the former's answer, a direct model's are called by their names.
    """

    name: str
    model_name: str
    container: ContainerPlan
    instance_type: str | None = None
    startup_s: float = STARTUP_SECONDS
    memory_bytes: int | None = None
    isolate_network: bool = False
    serverless: dict[str, Any] | None = None
    routing: str = "LEAST_OUTSTANDING_REQUESTS"
    others: tuple[ContainerPlan, ...] = ()
    direct: bool = False

    @property
    def hosts_components(self) -> bool:
        """Whether the variant has no model of its own and runs nothing but inference components."""
        return not self.model_name and not self.container.image

    @property
    def containers(self) -> tuple[ContainerPlan, ...]:
        return (self.container, *self.others)

    def hostname_of(self, number: int) -> str:
        """What the container of that number, from 0, is called."""
        return self.containers[number].hostname or f"container-{number + 1}"


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All variants of an endpoint config, with the config's own request."""

    config_name: str
    config: dict[str, Any]
    variants: tuple[VariantPlan, ...]
    shadows: tuple[VariantPlan, ...] = ()


_NO_MODEL: dict[str, Any] = {"PrimaryContainer": {"Image": ""}}


def plan_fleet(config: dict[str, Any], models: dict[str, dict[str, Any]]) -> FleetPlan:
    """The plan of an endpoint config's request; ``models`` are the CreateModel requests by name."""

    def plan(variant: dict[str, Any]) -> VariantPlan:
        return _variant(variant, models.get(variant.get("ModelName", ""), _NO_MODEL), config)

    return FleetPlan(
        config_name=config["EndpointConfigName"],
        config=config,
        variants=tuple(plan(variant) for variant in config["ProductionVariants"]),
        shadows=tuple(plan(variant) for variant in config.get("ShadowProductionVariants", [])),
    )


def _variant(variant: dict[str, Any], model: dict[str, Any], config: dict[str, Any]) -> VariantPlan:
    serverless = variant.get("ServerlessConfig")
    default = SERVERLESS_STARTUP_SECONDS if serverless else STARTUP_SECONDS
    instance_type = variant.get("InstanceType")
    first, *others = [container_plan(container) for container in containers_of(model)]
    memory = serverless["MemorySizeInMB"] * 2**20 if serverless else memory_bytes_of(instance_type or "")
    return VariantPlan(
        name=variant["VariantName"],
        model_name=variant.get("ModelName", ""),
        container=first,
        others=tuple(others),
        direct=model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct",
        instance_type=instance_type,
        startup_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", default),
        memory_bytes=memory,
        isolate_network=bool(model.get("EnableNetworkIsolation") or config.get("EnableNetworkIsolation")),
        serverless=serverless,
        routing=variant.get("RoutingConfig", {}).get("RoutingStrategy", "LEAST_OUTSTANDING_REQUESTS"),
    )


def containers_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The container definitions of a CreateModel request, the primary one first."""
    primary = request.get("PrimaryContainer")
    return [primary] if primary else list(request.get("Containers", []))


def container_plan(container: dict[str, Any]) -> ContainerPlan:
    """The plan of a container definition."""
    uri, is_prefix = model_data_of(container)
    return ContainerPlan(
        image=container.get("Image", ""),
        environment=container.get("Environment", {}),
        model_uri=uri,
        model_is_prefix=is_prefix,
        hostname=container.get("ContainerHostname"),
        multi_model=container.get("Mode") == "MultiModel",
        cache_models=container.get("MultiModelConfig", {}).get("ModelCacheSetting") != "Disabled",
    )


def model_data_of(container: dict[str, Any]) -> tuple[str | None, bool]:
    """Where a container's model data lies and whether that is a prefix of plain files rather than an archive."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source:
        return source["S3Uri"], source["S3DataType"] == "S3Prefix" or source["CompressionType"] == "None"
    return container.get("ModelDataUrl"), False
