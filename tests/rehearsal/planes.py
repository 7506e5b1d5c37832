"""A running plane for tests, and the few steps of a deployment that most of them begin with."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from penstock.oci.auth import Basic
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.rehearsal.options import PlaneInfo
from penstock.rehearsal.process import plane_environment, start_plane, stop_plane
from rehearsal.answers import check_answer
from rehearsal.tiny import tiny_image

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
FAST = {"Delay": 1, "MaxAttempts": 60}


class Rehearsal:
    """A plane and its clients."""

    def __init__(self, info: PlaneInfo, state_dir: Path, image: Image) -> None:
        self.info = info
        self.state_dir = state_dir
        self.image = image
        self.environment = plane_environment(info)
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, *, region: str = "us-east-1") -> Any:
        known = self._clients.get((service, region))
        if known is None:
            known = self._clients[service, region] = self._make_client(service, region)
        return known

    def _make_client(self, service: str, region: str) -> Any:
        client = boto3.client(
            service, endpoint_url=self.info.url, region_name=region,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 1}, read_timeout=70),
        )  # fmt: skip
        client.meta.events.register("after-call", check_answer)
        return client

    def role(self, name: str = "penstock-execution") -> str:
        iam = self.client("iam")
        try:
            return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"])
        except iam.exceptions.EntityAlreadyExistsException:
            return str(iam.get_role(RoleName=name)["Role"]["Arn"])

    def push(self, repository: str, tag: str = "1", *, image: Image | None = None, format: Any = "docker") -> str:
        """Pushes the tiny image as any client would; its reference by digest."""
        ecr = self.client("ecr")
        with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName=repository)
        token = ecr.get_authorization_token()["authorizationData"][0]
        user, password = base64.b64decode(token["authorizationToken"]).decode().split(":", 1)
        host = token["proxyEndpoint"].removeprefix("http://")
        with RegistryClient(auth=Basic(user, password)) as client:
            digest = client.push(image or self.image, f"{host}/{repository}:{tag}", format=format)
        return f"{host}/{repository}@{digest}"

    def upload_model(self, bucket: str, key: str, files: dict[str, bytes]) -> str:
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=archive(files))
        return f"s3://{bucket}/{key}"

    def deploy(
        self, name: str, *, environment: dict[str, str] | None = None, count: int = 1, wait: bool = True
    ) -> None:
        """A model, a config and an endpoint, all called ``name``."""
        self.make_config(name, environment=environment, count=count)
        sagemaker = self.client("sagemaker")
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        if wait:
            sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=FAST)

    def make_config(self, name: str, *, environment: dict[str, str] | None = None, count: int = 1) -> None:
        sagemaker = self.client("sagemaker")
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=self.role(),
            PrimaryContainer={"Image": self.push("tiny"), "Environment": environment or {}},
        )  # fmt: skip
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large",
                 "InitialInstanceCount": count}
            ],
        )  # fmt: skip

    def invoke(self, name: str, body: bytes = b"{}", **parameters: Any) -> Any:
        runtime = self.client("sagemaker-runtime")
        return runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json", **parameters)

    def told(self, name: str, body: bytes = b"{}", **parameters: Any) -> dict[str, Any]:
        """What the tiny server says of a request."""
        answer: dict[str, Any] = json.loads(self.invoke(name, body, **parameters)["Body"].read())
        return answer

    def delete(self, name: str) -> None:
        sagemaker = self.client("sagemaker")
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=FAST)


def archive(files: dict[str, bytes]) -> bytes:
    """A model.tar.gz of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The tiny image, built once."""
    return tiny_image(BlobCache(tmp_path_factory.mktemp("tiny-blobs")))


@pytest.fixture(scope="session")
def plane_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked layers, shared by all planes of the session."""
    return tmp_path_factory.mktemp("plane-cache")


@pytest.fixture(scope="module")
def rehearsal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: Image, plane_cache: Path
) -> Iterator[Rehearsal]:
    """A plane of this module's own; it checks signatures where the module says ``CHECK_SIGNATURES = True``."""
    state_dir = tmp_path_factory.mktemp("plane")
    checks = getattr(request.module, "CHECK_SIGNATURES", False)
    info = start_plane(state_dir, cache_dir=plane_cache, check_signatures=checks, detached=False)
    try:
        yield Rehearsal(info, state_dir, tiny)
    finally:
        stop_plane(state_dir)
