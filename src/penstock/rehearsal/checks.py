"""What CreateModel makes sure of: role, image, model data. ``docs/plane.md`` says which of it AWS finds out late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.ground.errors import PenstockError
from penstock.oci.reference import Reference
from penstock.oci.storage import RegistryStorage
from penstock.oci.types import DOCKER_MANIFEST, RawManifest
from penstock.rehearsal.fleet.plan import containers_of, model_data_of
from penstock.rehearsal.hosting.instances import architecture_of
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.roles import check_role
from penstock.rehearsal.runner.archive import check_archive
from penstock.rehearsal.runner.images import config_of, manifest_of
from penstock.rehearsal.runner.spec import BIND_LABEL, MULTI_MODEL_LABEL
from penstock.rehearsal.s3 import Buckets, split_uri
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import invalid

_RUNNABLE = ("amd64", "arm64")


class PlaneChecks:
    """Checks against the plane's own registry, buckets and roles; ``ready`` brings a neighbour up to date."""

    def __init__(
        self,
        *,
        storage: RegistryStorage,
        buckets: Buckets,
        neighbours: Neighbours,
        ready: Callable[[str], object],
    ) -> None:
        self._ready = ready
        self._storage = storage
        self._buckets = buckets
        self._neighbours = neighbours

    def check_model(self, request: dict[str, Any], call: Call) -> None:
        """Raises AwsError as SageMaker would for this model."""
        self.check_role(request["ExecutionRoleArn"], call)
        containers = containers_of(request)
        for container in containers:
            multi_model = container.get("Mode") == "MultiModel"
            needed = [MULTI_MODEL_LABEL] * multi_model + [BIND_LABEL] * (len(containers) > 1)
            self._check_image(container, needed)
            self._check_data(container, call, multi_model=multi_model)

    def check_role(self, arn: str, call: Call) -> None:
        """Raises AwsError unless SageMaker could assume the role."""
        self._ready("iam")
        check_role(arn, self._neighbours, call.account)

    def check_container(self, container: dict[str, Any], call: Call) -> str:
        """The digest of a container definition's image. Raises AwsError if image or model data will not do."""
        self._check_image(container, ())
        self._check_data(container, call, multi_model=False)
        return self._stored(container["Image"]).digest

    def check_instance(self, image: str, instance_type: str) -> None:
        """Raises AwsError if the image is for another processor than the instance type has; AWS finds out at start."""
        stored = self._stored(image)
        reference = Reference.parse(image)
        config = config_of(
            self._storage, reference.repository, manifest_of(self._storage, reference.repository, stored.digest)
        )
        wanted = architecture_of(instance_type)
        if config.architecture != wanted:
            raise invalid(
                f"The image {image} is for {config.os}/{config.architecture}, but {instance_type} is linux/{wanted}."
            )

    def _check_image(self, container: dict[str, Any], needed: Sequence[str]) -> None:
        if "Image" not in container:
            return
        stored = self._stored(container["Image"])
        if stored.media_type != DOCKER_MANIFEST:
            raise invalid(
                f"Unsupported manifest media type {stored.media_type} for image {container['Image']}. "
                "Push it as a single Docker schema 2 manifest."
            )
        repository = Reference.parse(container["Image"]).repository
        config = config_of(self._storage, repository, manifest_of(self._storage, repository, stored.digest))
        if config.os != "linux" or config.architecture not in _RUNNABLE:
            raise invalid(
                f"The image {container['Image']} is for {config.platform}; SageMaker runs linux/amd64 and arm64."
            )
        for label in needed:
            if (config.runtime.labels or {}).get(label) != "true":
                raise invalid(
                    f"Your Ecr Image {container['Image']} does not contain required {label}=true Docker label(s)."
                )

    def _stored(self, image: str) -> RawManifest:
        try:
            reference = Reference.parse(image)
        except PenstockError as error:
            raise invalid(f"Invalid image name {image}: {error}") from error
        stored = self._storage.find_manifest(reference.repository, reference.version)
        if stored is None:
            raise invalid(f"Requested image {image} not found. Push it to a repository of this registry first.")
        return stored

    def _check_data(self, container: dict[str, Any], call: Call, *, multi_model: bool) -> None:
        uri, is_prefix = model_data_of(container)
        if uri is None:
            return
        bucket, key = split_uri(uri)
        region = self._buckets.region_of(bucket)
        if region is None:
            raise invalid(f"Could not access model data at {uri}. There is no bucket {bucket}.")
        if region != call.region:
            raise invalid(
                f"Could not access model data at {uri}. The bucket is in {region}; it must be in {call.region}."
            )
        if multi_model:
            return  # its archives come and go while it serves
        if is_prefix:
            if not self._buckets.keys(bucket, key):
                raise invalid(f"Could not find model data at {uri}.")
            return
        self._check_archive(uri, bucket, key)

    def _check_archive(self, uri: str, bucket: str, key: str) -> None:
        if not key.endswith(".tar.gz"):
            raise invalid(f"Model data must be a .tar.gz archive; {uri} is not named so.")
        archive = self._buckets.find(bucket, key)
        if archive is None:
            raise invalid(f"Could not find model data at {uri}.")
        try:
            with archive:
                check_archive(archive)
        except PenstockError as error:
            raise invalid(f'Failed to extract model data archive from URL "{uri}". {error}') from error
