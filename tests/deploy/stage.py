"""What a test of a deployment stands on: a target, the materials of a small model, and a record of every request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from msgspec.structs import replace

from deploy.wire_check import WireCheck
from penstock.deploy.apply import Deployment
from penstock.deploy.archive import write_archive
from penstock.deploy.kinds import Materials
from penstock.deploy.request import DeployRequest, ImageSource, Package
from penstock.deploy.session import AwsSession
from penstock.deploy.steps import Plan
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.ground.errors import NotFound
from penstock.oci.image import Image
from penstock.rehearsal.options import PlaneInfo
from penstock.rehearsal.process import plane_environment


def session_on(plane: PlaneInfo) -> boto3.Session:
    """A boto3 session with the plane's false keys; nothing in it says that it is a plane."""
    environment = plane_environment(plane)
    return boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=plane.region,
    )


class Stage:
    """A SageMaker target on a plane, as one machine sees it."""

    def __init__(self, plane: PlaneInfo, image: Image, directory: Path) -> None:
        self.plane = plane
        self.plane_dir = directory
        self.image = image
        self.directory = directory
        boto = session_on(plane)
        self.check = WireCheck(boto)
        self.aws = AwsSession(boto, region=plane.region, endpoint_url=plane.url)
        self.target = SageMakerTarget(self.aws, directory / "state")
        self.materials = Materials()
        self.models = 0

    def request(self, name: str, *, files: dict[str, str] | None = None, **settings: Any) -> DeployRequest:
        """A request for the tiny image with a model archive of these files."""
        self.models += 1
        folder = self.directory / f"model-{self.models}"
        folder.mkdir(parents=True)
        for file, text in (files or {"MLmodel": "flavors: {}\n"}).items():
            (folder / file).write_text(text)
        path = self.directory / f"{folder.name}.tar.gz"
        archive = write_archive(folder, path)
        digest = self.image.digest("docker")
        self.materials = replace(
            self.materials,
            images={**self.materials.images, digest: self.image},
            archives={**self.materials.archives, archive.sha256: path},
        )
        image = ImageSource(digest=digest, size_bytes=self.image.size_bytes)
        return DeployRequest(
            name=name, package=Package(image=image, archive=archive, model_uri=f"test:{name}"), **settings
        )

    def apply(self, plan: Plan, **settings: Any) -> Deployment:
        return self.target.apply(plan, materials=self.materials, **settings)

    def deploy(self, request: DeployRequest, **settings: Any) -> Deployment:
        return self.apply(self.target.plan(request), **settings)

    def clear(self) -> None:
        """Deletes every deployment that this stage's ledger knows."""
        for name in self.target.ledger.deployments():
            try:
                self.target.delete(name, force=True)
            except NotFound:
                continue
