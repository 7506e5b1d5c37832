"""MLflow's configuration keys for SageMaker deployments, in our words; unknown ones are refused, with near misses."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from penstock.deploy.options import DeployOptions, read_options
from penstock.ground.errors import InvalidInput
from penstock.ground.names import near

_RENAMED = {
    "execution_role_arn": "role",
    "synchronous": "wait",
    "timeout_seconds": "timeout_s",
    "variant_name": "variant",
}
_SETTINGS = {"region_name": "region"}
_OURS_TO_SAY = {"assume_role_arn": "set AWS_PROFILE to a profile with role_arn", "archive": "leave it out: the former"
                " generation always stays until the next deploy"}  # fmt: skip


class MlflowConfig(Struct, frozen=True, kw_only=True):
    """``settings`` overrides ours (the region); ``image`` is an image's reference, or None to build one."""

    options: DeployOptions
    image: str | None = None
    settings: dict[str, str | None] = {}

    @staticmethod
    def known_keys() -> set[str]:
        """Every key that is understood."""
        own = {*DeployOptions.__struct_fields__}
        return own | {*_RENAMED, *_SETTINGS, *_TRANSLATED, "image_url"}


def read_mlflow_config(config: dict[str, Any]) -> MlflowConfig:
    """The options that MLflow's keys and ours say. Values may be texts, as ``-C key=value`` gives them.

    Raises InvalidInput for keys that are not known: hyphens for underscores and other near misses are named.
    """
    table: dict[str, Any] = {}
    settings: dict[str, str | None] = {}
    for key, value in config.items():
        _check_key(key)
        plain = _plain(value)
        if key in _SETTINGS:
            settings[_SETTINGS[key]] = plain
        elif key in _TRANSLATED:
            table.update(_TRANSLATED[key](plain))
        elif key != "image_url":
            table[_RENAMED.get(key, key)] = plain
    return MlflowConfig(options=read_options(table), image=config.get("image_url"), settings=settings)


def _check_key(key: str) -> None:
    if key in _OURS_TO_SAY:
        raise InvalidInput(f"The key {key!r} is not offered.", fix=f"Instead, {_OURS_TO_SAY[key]}.")
    if key not in MlflowConfig.known_keys():
        raise InvalidInput(f"There is no key {key!r}.{near(key, sorted(MlflowConfig.known_keys()))}", fix="Correct it.")


def _plain(value: Any) -> Any:
    """A text that holds JSON becomes what it says; MLflow's True and False become booleans."""
    if not isinstance(value, str):
        return value
    if value in ("True", "False"):
        return value == "True"
    if value[:1] in "{[":
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"{value!r} is not valid JSON: {error}.", fix="Correct it.") from error
    return value


def _vpc(value: dict[str, Any]) -> dict[str, Any]:
    return {"vpc": {"subnets": value.get("Subnets", []), "security_groups": value.get("SecurityGroupIds", [])}}


def _capture(value: dict[str, Any]) -> dict[str, Any]:
    modes = {option.get("CaptureMode") for option in value.get("CaptureOptions", [])}
    capture = {
        "s3_uri": value.get("DestinationS3Uri", ""),
        "sampling_percent": value.get("InitialSamplingPercentage", 100),
        "input": "Input" in modes,
        "output": "Output" in modes,
    }
    return {"capture": capture}


def _serverless(value: dict[str, Any]) -> dict[str, Any]:
    known = {"MemorySizeInMB": "memory_mb", "MaxConcurrency": "max_concurrency"}
    return {"serverless": {known.get(key, key): item for key, item in value.items()}}


def _async(value: dict[str, Any]) -> dict[str, Any]:
    output = value.get("OutputConfig", {})
    body = {"output_s3_uri": output.get("S3OutputPath", ""), "failure_s3_uri": output.get("S3FailurePath")}
    body["max_concurrent_per_instance"] = value.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance")
    return {"async_inference": body}


_TRANSLATED = {
    "vpc_config": _vpc,
    "data_capture_config": _capture,
    "serverless_config": _serverless,
    "async_inference_config": _async,
}
