"""Options that the deployment commands share, and the one JSON form of their results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
import msgspec

from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings

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
        function(*arguments, flags=flags, **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


_PLAIN = (
    "model", "mode", "image", "variant", "instance_type", "instance_count", "weight", "role", "bucket", "repository",
    "kms_key", "startup_timeout_s", "expires", "production", "model_in", "network_isolation",
)  # fmt: skip
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
