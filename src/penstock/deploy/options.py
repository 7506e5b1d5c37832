"""How to deploy, as people write it: flags, keyword arguments, or a table of penstock.toml; None is "not mentioned"."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from penstock.deploy.prices import HOURS_PER_MONTH
from penstock.deploy.request import (
    PRIMARY,
    Alarms,
    AsyncInference,
    Autoscaling,
    Capture,
    DeployRequest,
    Mode,
    Package,
    Rollout,
    Serverless,
    VariantRequest,
    Vpc,
)
from penstock.ground.errors import InvalidInput, QuotaExceeded
from penstock.ground.names import near

DEFAULT_LIFETIME = "24h"
_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
# Graviton: a letter 'g' behind the generation's digit, as in m6g, c7gn, r8g.
_ARM = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")
_GPU = re.compile(r"ml\.[gp]\d")


class VariantOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fleet behind the endpoint, by its name in the table ``variants``."""

    model: str | None = None
    image: str | None = None
    instance_type: str | None = None
    instance_count: int | None = None
    weight: float | None = None
    serverless: Serverless | None = None
    volume_gb: int | None = None
    startup_timeout_s: int | None = None
    download_timeout_s: int | None = None
    autoscaling: Autoscaling | None = None


class DeployOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that can be said about a deployment besides its name and model.

    ``image`` is the reference of one that is in a registry; by default it is built from the model.
    ``variant`` names the one fleet that the plain instance settings are about; ``variants`` describes several.
    ``model_in`` is where the model travels: in an archive beside the image, or baked into it.
    """

    mode: Mode = "declare"
    image: str | None = None
    variant: str = PRIMARY
    instance_type: str | None = None
    instance_count: int | None = None
    weight: float | None = None
    serverless: Serverless | None = None
    volume_gb: int | None = None
    startup_timeout_s: int | None = None
    download_timeout_s: int | None = None
    autoscaling: Autoscaling | None = None
    variants: dict[str, VariantOptions] = {}
    role: str | None = None
    bucket: str | None = None
    repository: str = "penstock"
    env: dict[str, str] | None = None
    tags: dict[str, str] = {}
    vpc: Vpc | None = None
    network_isolation: bool | None = None
    kms_key: str | None = None
    capture: Capture | None = None
    async_inference: AsyncInference | None = None
    alarms: Alarms | None = None
    rollout: Rollout | None = None
    max_cost: str | None = None
    expires: str | None = None
    production: bool = False
    model_in: Literal["archive", "image"] = "archive"
    wait: bool = True
    timeout_s: float = 3600.0

    @property
    def gpu(self) -> bool:
        """Whether an instance type is one with NVIDIA's GPUs (families g and p), so that CUDA is of use."""
        asked = [self.instance_type, *(variant.instance_type for variant in self.variants.values())]
        return any(_GPU.match(each) for each in asked if each)

    def of_variant(self, name: str) -> VariantOptions:
        """The variant's own settings over the plain ones, which hold for every variant that does not say otherwise."""
        own = self.variants.get(name, VariantOptions())
        fields = [field for field in VariantOptions.__struct_fields__ if field != "model"]
        given = {field: getattr(own, field) for field in fields}
        plain = {field: getattr(self, field) for field in fields}
        if own.instance_type or own.instance_count:
            plain["serverless"] = None
        if own.serverless:
            plain |= {"instance_type": None, "instance_count": None}
        settled = {field: plain[field] if value is None else value for field, value in given.items()}
        return VariantOptions(model=own.model, **settled)


def platform_of(instance_type: str | None) -> str:
    """The platform that the instance type wants an image for."""
    return "linux/arm64" if instance_type and _ARM.match(instance_type) else "linux/amd64"


def read_options(table: dict[str, Any]) -> DeployOptions:
    """The options written in ``table``. Raises InvalidInput naming the key, with near misses."""
    try:
        return msgspec.convert(table, DeployOptions, strict=False)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.+?)`", str(error))
        hint = near(unknown[1], _all_keys()) if unknown else ""
        raise InvalidInput(
            f"A deployment setting is wrong: {error}.{hint}", fix="Correct it in the file or flag."
        ) from error


def build_request(
    name: str, package: Package, options: DeployOptions, *, now_ms: int, packages: dict[str, Package] | None = None
) -> DeployRequest:
    """The request that the options make of a package; ``packages`` has those of variants with their own. Pure."""
    lifetime = options.expires or DEFAULT_LIFETIME
    return DeployRequest(
        name=name,
        package=package,
        mode=options.mode,
        variants=_variants(options, packages or {}),
        role=options.role,
        bucket=options.bucket,
        env=options.env,
        tags=options.tags,
        vpc=options.vpc,
        network_isolation=options.network_isolation,
        kms_key=options.kms_key,
        capture=options.capture,
        async_inference=options.async_inference,
        alarms=options.alarms,
        rollout=options.rollout,
        production=options.production or options.expires == "never",
        expires_at_ms=_after(options.expires, now_ms),
        default_expires_at_ms=_after(lifetime, now_ms),
    )


def _variants(options: DeployOptions, packages: dict[str, Package]) -> tuple[VariantRequest, ...]:
    if not options.variants:
        return (_variant(options.variant, options.of_variant(""), packages.get(options.variant)),)
    return tuple(_variant(name, options.of_variant(name), packages.get(name)) for name in options.variants)


def _variant(name: str, one: VariantOptions, package: Package | None) -> VariantRequest:
    return VariantRequest(
        name=name,
        package=package,
        instance_type=one.instance_type,
        instance_count=one.instance_count,
        weight=one.weight,
        serverless=one.serverless,
        volume_gb=one.volume_gb,
        startup_timeout_s=one.startup_timeout_s,
        download_timeout_s=one.download_timeout_s,
        autoscaling=one.autoscaling,
    )


def check_cost(options: DeployOptions, per_hour: float) -> None:
    """Raises QuotaExceeded for a plan that costs more US dollars an hour than ``max_cost`` allows, e.g. "5/day"."""
    if options.max_cost is None:
        return
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/(hour|day|month)", options.max_cost)
    if match is None:
        raise InvalidInput(f"{options.max_cost!r} is no limit of cost.", fix="Write 0.5/hour, 5/day or 100/month.")
    hours = _HOURS[match[2]]
    if per_hour * hours > float(match[1]):
        raise QuotaExceeded(
            f"It would cost ${per_hour * hours:.2f} a {match[2]}, over the limit of ${float(match[1]):g}.",
            fix="Take a smaller or fewer instances, or raise --max-cost.",
        )


_HOURS = {"hour": 1.0, "day": 24.0, "month": HOURS_PER_MONTH}


def _after(lifetime: str | None, now_ms: int) -> int | None:
    """``"4h"`` from now; None for None and "never"."""
    if lifetime is None or lifetime == "never":
        return None
    match = re.fullmatch(r"(\d+)([mhd])", lifetime)
    if match is None:
        raise InvalidInput(f"{lifetime!r} is no lifetime.", fix="Write 30m, 4h, 7d or never.")
    return now_ms + int(match[1]) * _UNITS_MS[match[2]]


def _all_keys() -> list[str]:
    kinds = (DeployOptions, VariantOptions, Serverless, Autoscaling, Capture, AsyncInference, Vpc, Alarms, Rollout)
    return sorted({name for kind in kinds for name in kind.__struct_fields__})
