"""Options that the deployment commands share, and the one JSON form of their results."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import click
import msgspec

from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings

ROLLOUTS = ("all_at_once", "canary", "linear", "rolling")
Function = Callable[..., None]


def where(function: Function) -> Function:
    """Adds ``--to``, ``--region``, ``--profile`` and ``--endpoint-url``; the command gets ``to`` and ``settings``."""

    @functools.wraps(function)
    def run(*arguments: Any, region: str | None, profile: str | None, endpoint_url: str | None, **rest: Any) -> None:
        flags = {"region": region, "profile": profile, "endpoint_url": endpoint_url}
        function(*arguments, settings=load_settings(flags), **rest)

    options = (
        click.option("--to", default="sagemaker", show_default=True, help="sagemaker, local (the embedded plane), ..."),
        click.option("--region", help="The AWS region; else the environment's or the profile's."),
        click.option("--profile", help="The AWS profile."),
        click.option("--endpoint-url", help="Where AWS is, e.g. an embedded plane's URL."),
    )
    for option in reversed(options):
        run = option(run)
    return run


def deployment(function: Function) -> Function:
    """Adds the options that say how to deploy; the command gets them as one dict, ``flags``."""

    @functools.wraps(function)
    def run(*arguments: Any, env: tuple[str, ...], tag: tuple[str, ...], serverless: int | None, **rest: Any) -> None:
        flags = {key: rest.pop(key) for key in _PLAIN}
        flags["production"] = flags["production"] or None
        flags |= {"env": pairs("--env", env), "tags": pairs("--tag", tag)}
        flags["serverless"] = {"memory_mb": serverless} if serverless else None
        flags |= {table: _nested(table, rest) for table in _NESTED}
        flags["autoscaling"] = _scaling(rest.pop("autoscale"), rest.pop("scale_target"))
        function(*arguments, flags=flags, **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


_PLAIN = (
    "model", "mode", "image", "variant", "instance_type", "instance_count", "weight", "role", "bucket", "repository",
    "kms_key", "startup_timeout_s", "expires", "production", "model_in", "network_isolation", "volume_gb",
    "download_timeout_s", "max_cost",
)  # fmt: skip
# A table of the project file and its keys: the flags are called alike, with the table's name before the key.
_NESTED = {
    "capture": ("s3_uri", "sampling_percent"),
    "async_inference": ("output_s3_uri", "failure_s3_uri"),
    "vpc": ("subnets", "security_groups"),
    "alarms": ("errors_5xx_per_minute", "latency_p99_ms"),
    "rollout": ("strategy", "step_percent", "wait_s", "alarms"),
}


def _nested(table: str, given: dict[str, Any]) -> dict[str, Any]:
    found = {key: given.pop(f"{table}_{key}") for key in _NESTED[table]}
    return {key: value for key, value in found.items() if value not in (None, ())}


def _scaling(bounds: str | None, target: float | None) -> dict[str, Any]:
    """``1:4`` as the two bounds. Raises InvalidInput."""
    found: dict[str, Any] = {} if target is None else {"invocations_per_minute": target}
    if bounds is None:
        return found
    match = re.fullmatch(r"(\d+):(\d+)", bounds)
    if match is None:
        raise InvalidInput(f"--autoscale {bounds} is no pair of counts.", fix="Write --autoscale 1:4.")
    return {**found, "minimum": int(match[1]), "maximum": int(match[2])}


_OPTIONS = (
    click.argument("model", required=False),
    click.option("-n", "--name", help="The deployment's, and the endpoint's, name."),
    click.option("--file", "file", type=click.Path(dir_okay=False), help="A TOML file; by default penstock.toml."),
    click.option("--mode", type=click.Choice(["declare", "create", "replace", "add"]), help="As in MLflow."),
    click.option("--image", help="An image that is in a registry; by default one is built from the model."),
    click.option("--instance-type", help="For example ml.m5.large."),
    click.option("--instance-count", type=int, help="How many instances."),
    click.option("--serverless", type=int, metavar="MB", help="Serverless with that much memory instead of instances."),
    click.option("--variant", help="The fleet that the settings are about."),
    click.option("--weight", type=float, help="Its share of the traffic."),
    click.option("--role", help="The execution role's name or ARN; by default one is made."),
    click.option("--bucket", help="Where the model archive goes; by default a bucket is made."),
    click.option("--repository", help="The ECR repository; by default penstock."),
    click.option("--env", multiple=True, metavar="KEY=VALUE", help="An environment variable of the container."),
    click.option("--tag", multiple=True, metavar="KEY=VALUE", help="A tag on everything that is made."),
    click.option("--kms-key", help="The key for the instances' volumes."),
    click.option("--network-isolation/--no-network-isolation", default=None, help="No network for the container."),
    click.option("--startup-timeout", "startup_timeout_s", type=int, help="Seconds until it must be healthy."),
    click.option("--model-in", type=click.Choice(["archive", "image"]), help="Where the model travels."),
    click.option("--volume-gb", type=int, help="Of the instances' disks."),
    click.option("--download-timeout", "download_timeout_s", type=int, help="Seconds for the model archive."),
    click.option("--autoscale", metavar="MIN:MAX", help="Keep the instance count between the two."),
    click.option("--scale-target", type=float, metavar="N", help="Invocations per instance and minute to keep to."),
    click.option("--capture", "capture_s3_uri", metavar="S3", help="Record calls under s3://bucket/prefix."),
    click.option("--capture-percent", "capture_sampling_percent", type=int, help="How many of them."),
    click.option("--async-output", "async_inference_output_s3_uri", metavar="S3", help="Answer into s3://..., later."),
    click.option("--async-failure", "async_inference_failure_s3_uri", metavar="S3", help="And failures into this one."),
    click.option("--subnet", "vpc_subnets", multiple=True, help="Of the VPC that containers live in."),
    click.option("--security-group", "vpc_security_groups", multiple=True, help="Of the VPC."),
    click.option("--alarm-5xx", "alarms_errors_5xx_per_minute", type=float, metavar="N", help="Alarm above N."),
    click.option("--alarm-p99-ms", "alarms_latency_p99_ms", type=float, metavar="MS", help="Alarm above that latency."),
    click.option("--rollout", "rollout_strategy", type=click.Choice(ROLLOUTS), help="How an update moves traffic."),
    click.option("--step-percent", "rollout_step_percent", type=int, help="The canary's, step's or batch's size."),
    click.option("--bake", "rollout_wait_s", type=int, metavar="SECONDS", help="How long each step is watched."),
    click.option("--roll-back-on", "rollout_alarms", multiple=True, metavar="ALARM", help="By default our own alarms."),
    click.option("--max-cost", metavar="5/day", help="Refuse a plan that costs more; per hour, day or month."),
    click.option("--expires", metavar="4h|never", help="When it may be deleted; 24h unless for production."),
    click.option("--production", is_flag=True, help="Never expires."),
)


def pairs(option: str, values: tuple[str, ...]) -> dict[str, str] | None:
    """``("A=1",)`` as ``{"A": "1"}``; None when nothing was given. Raises InvalidInput."""
    wrong = [value for value in values if "=" not in value]
    if wrong:
        raise InvalidInput(f"{option} {wrong[0]} has no '='.", fix=f"Write {option} KEY=VALUE.")
    return dict(value.partition("=")[::2] for value in values) or None


def document(schema: str, value: Any) -> dict[str, Any]:
    """The JSON document of a result: its fields and the name of its schema; a list becomes ``items``."""
    plain = msgspec.to_builtins(value)
    return {"schema": f"penstock.{schema}/1", **(plain if isinstance(plain, dict) else {"items": plain})}
