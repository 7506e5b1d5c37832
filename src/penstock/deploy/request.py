"""What is asked for: one frozen value. ``None`` means "not mentioned", and what is not mentioned is never dropped."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from penstock.ground.names import check_endpoint_name

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PRIMARY = "primary"
DEFAULT_INSTANCE_TYPE = "ml.m5.large"

Mode = Literal["declare", "create", "replace", "add"]


class ImageSource(Struct, frozen=True, kw_only=True):
    """An image already in a registry under ``reference``, or one still to be pushed: ``repository@digest``."""

    reference: str | None = None
    repository: str = "penstock"
    digest: str = ""
    architecture: str = "amd64"
    media_type: str = DOCKER_MANIFEST
    size_bytes: int = 0
    python: str = ""


class ArchiveSource(Struct, frozen=True, kw_only=True):
    """A model archive already in S3 at ``url``, or a local file still to be uploaded, known by its SHA-256."""

    url: str | None = None
    sha256: str = ""
    size_bytes: int = 0


class Package(Struct, frozen=True, kw_only=True):
    """What a container runs: an image, and perhaps a model archive that is laid out under /opt/ml/model."""

    image: ImageSource
    archive: ArchiveSource | None = None
    model_uri: str = ""
    model_version: str = ""


class Serverless(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant without instances. ``memory_mb`` is 1024 to 6144 in steps of 1024."""

    memory_mb: int = 2048
    max_concurrency: int = 5
    provisioned_concurrency: int | None = None


class Autoscaling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keeps the instance count between two bounds, tracking invocations per instance and minute."""

    minimum: int = 1
    maximum: int = 4
    invocations_per_minute: float = 600.0
    scale_in_cooldown_s: int = 300
    scale_out_cooldown_s: int = 300


class Capture(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records calls as JSON lines under ``s3_uri``."""

    s3_uri: str
    sampling_percent: int = 100
    input: bool = True
    output: bool = True
    csv_content_types: tuple[str, ...] = ("text/csv",)
    json_content_types: tuple[str, ...] = ("application/json",)
    kms_key: str | None = None


class AsyncInference(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Makes every variant answer asynchronously, into ``output_s3_uri``."""

    output_s3_uri: str
    failure_s3_uri: str | None = None
    max_concurrent_per_instance: int | None = None
    success_topic: str | None = None
    error_topic: str | None = None
    kms_key: str | None = None


class Vpc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


class Alarms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alarms made for every variant; a rollout that bakes rolls back when one of them rings."""

    errors_5xx_per_minute: float | None = 1.0
    latency_p99_ms: float | None = None
    actions: tuple[str, ...] = ()


class Rollout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an update shifts traffic. ``step_percent`` is the canary's, the linear step's or the batch's size."""

    strategy: Literal["all_at_once", "canary", "linear", "rolling"] = "all_at_once"
    step_percent: int = 10
    wait_s: int = 300
    termination_wait_s: int = 0
    timeout_s: int = 3600
    alarms: tuple[str, ...] = ()


class VariantRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fleet behind the endpoint. Without a package of its own it runs the request's."""

    name: str = PRIMARY
    package: Package | None = None
    instance_type: str | None = None
    instance_count: int | None = None
    weight: float | None = None
    serverless: Serverless | None = None
    volume_gb: int | None = None
    startup_timeout_s: int | None = None
    download_timeout_s: int | None = None
    autoscaling: Autoscaling | None = None


class DeployRequest(Struct, frozen=True, kw_only=True):
    """A deployment as it should be. Pure: says nothing about what is already there."""

    name: str
    package: Package
    mode: Mode = "declare"
    variants: tuple[VariantRequest, ...] = (VariantRequest(),)
    role: str | None = None
    bucket: str | None = None
    env: dict[str, str] | None = None
    tags: dict[str, str] = {}
    vpc: Vpc | None = None
    network_isolation: bool | None = None
    kms_key: str | None = None
    capture: Capture | None = None
    async_inference: AsyncInference | None = None
    alarms: Alarms | None = None
    rollout: Rollout | None = None
    expires_at_ms: int | None = None
    default_expires_at_ms: int | None = None
    production: bool = False
    reach: tuple[str, ...] = ()
    """S3 prefixes beyond the deployment's own that its role must read and write."""

    def __post_init__(self) -> None:
        check_endpoint_name(self.name)
