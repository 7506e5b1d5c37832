"""MLflow's door to deployments: ``mlflow deployments create|update|delete|list|get|predict -t penstock``.

Target URIs: ``penstock`` (SageMaker in the environment's region), ``penstock:/local`` (the embedded plane),
``penstock:/<region>`` and ``penstock:/<region>/<role ARN>``, as in MLflow's own SageMaker client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import msgspec
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
)

from penstock.api import deployments
from penstock.api.deployments_config import MlflowConfig, read_mlflow_config
from penstock.api.deployments_data import encode_inputs
from penstock.api.deployments_model import ModelSource
from penstock.api.deployments_target import LOCAL, SAGEMAKER
from penstock.ground.errors import AlreadyExists, InternalError, InvalidInput, NotFound, PenstockError
from penstock.ground.settings import Settings, load_settings
from penstock.models.folder import read_model_folder

_CODES = (
    (NotFound, RESOURCE_DOES_NOT_EXIST),
    (AlreadyExists, RESOURCE_ALREADY_EXISTS),
    (InvalidInput, INVALID_PARAMETER_VALUE),
)


def target_help() -> str:
    """What ``mlflow deployments help -t penstock`` prints."""
    keys = ", ".join(sorted(MlflowConfig.known_keys()))
    return f"{__doc__}\nKeys of -C: {keys}.\nUnknown keys are refused. `penstock plan` shows what would be done.\n"


def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Deploys to the embedded plane: the very same path, on this machine."""
    return PenstockDeploymentClient(f"penstock:/{LOCAL}").create_deployment(name, model_uri, flavor, config)


class PenstockDeploymentClient(BaseDeploymentClient):  # type: ignore[misc]
    """MLflow's deployment client over Penstock's deployments."""

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri=target_uri)
        place = target_uri.partition(":")[2].strip("/")
        region, _, role = place.partition("/")
        self._to = LOCAL if region == LOCAL else SAGEMAKER
        self._region = "" if region == LOCAL else region
        self._role = role

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: Any = None, endpoint: Any = None
    ) -> dict[str, Any]:
        return self._deploy(name, model_uri, flavor, {"mode": "create", **(config or {})})

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Any = None,
        endpoint: Any = None,
    ) -> dict[str, Any]:
        with _translated():
            if model_uri is None:
                model_uri = deployments.status(name, to=self._to, settings=self._settings({})).model_uri
        return self._deploy(name, model_uri, flavor, {"mode": "declare", **(config or {})})

    def delete_deployment(self, name: str, config: Any = None, endpoint: Any = None) -> None:
        with _translated():
            read = read_mlflow_config(dict(config or {}))
            try:
                report = deployments.delete(name, to=self._to, settings=self._settings(read.settings), force=True)
            except NotFound:
                return  # MLflow's contract: deleting what is not there is no error.
            if not report.nothing_left:
                left = ", ".join([*map(str, report.leftovers), *report.unchecked])
                raise InternalError(f"Something may be left: {left}.", fix=f"Run `penstock delete {name}`.")

    def list_deployments(self, endpoint: Any = None) -> list[dict[str, Any]]:
        with _translated():
            found = deployments.list_deployments(to=self._to, settings=self._settings({}))
            return [msgspec.to_builtins(one) for one in found]

    def get_deployment(self, name: str, endpoint: Any = None) -> dict[str, Any]:
        with _translated():
            found = deployments.status(name, to=self._to, settings=self._settings({}))
            shown: dict[str, Any] = msgspec.to_builtins(found)
            return shown

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None) -> Any:
        with _translated():
            body, content_type = encode_inputs(inputs)
            answer = deployments.invoke(
                deployment_name or endpoint or "",
                body,
                content_type=content_type,
                to=self._to,
                settings=self._settings({}),
            )
        return PredictionsResponse.from_json(answer.body.decode())

    def _deploy(self, name: str, model_uri: str, flavor: str | None, config: dict[str, Any]) -> dict[str, Any]:
        with _translated():
            given = {"role": self._role, **config} if self._role else config
            read = read_mlflow_config(given)
            folder = read_model_folder(Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri)))
            made = deployments.deploy(
                ModelSource(folder=folder, uri=model_uri),
                name=name,
                options=read.options,
                image=read.image,
                to=self._to,
                settings=self._settings(read.settings),
            )
            return {"name": made.name, "flavor": flavor, **msgspec.to_builtins(made)}

    def _settings(self, flags: Mapping[str, str | None]) -> Settings:
        return load_settings({"region": self._region or None, **flags})


@contextmanager
def _translated() -> Iterator[None]:
    """Raises MlflowException, as MLflow's callers expect, with the whole message and the fix."""
    try:
        yield
    except PenstockError as error:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL_ERROR)
        raise MlflowException(f"{error} ({error.code})", error_code=code) from error
