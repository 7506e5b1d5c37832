"""The rehearsal: the same plan, image and archive on the embedded plane, called, soaked and fed nonsense."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from penstock.api.deployments_model import ModelSource
from penstock.api.deployments_package import Packed, pack_all
from penstock.api.deployments_probe import variants_probe
from penstock.api.deployments_target import local_target
from penstock.api.deployments_trial import LargeBody, Refused, Trial, run_trial
from penstock.deploy.bucket import BucketKind, split_url
from penstock.deploy.kinds import Making
from penstock.deploy.limits import Measured, refusals
from penstock.deploy.options import DeployOptions, build_request
from penstock.deploy.request import DEFAULT_INSTANCE_TYPE, DeployRequest, Package
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import PenstockError, RehearsalFailed
from penstock.ground.files import write_atomically
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuiltImage
from penstock.rehearsal.hosting.instances import memory_bytes_of


class Rehearsal(Struct, frozen=True, kw_only=True):
    """What a rehearsal saw. Latencies are the caller's, in milliseconds; ``would_fail`` is empty when all is well.

    ``start_s`` is from CreateEndpoint until it is in service; ``memory_bytes`` the most the container held, seen once a
    second, and ``memory_limit_bytes`` what its instance type has.
    """

    model_uri: str
    package: str
    at_ms: int
    instance_type: str
    start_s: float
    image_bytes: int = 0
    archive_bytes: int = 0
    calls: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int = 0
    payload_bytes: int = 0
    large: LargeBody | None = None
    malformed: tuple[Refused, ...] = ()
    would_fail: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.would_fail


def rehearse(
    model: str | Path | ModelSource | None,
    *,
    options: DeployOptions | None = None,
    image: BuiltImage | str | None = None,
    soak_s: float = 5.0,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Rehearsal:
    """Deploys the model to the embedded plane, tries it, and removes it again; a pass is remembered for ``deploy``.

    The plane keeps the limits of the instance type and of SageMaker: memory, the ping's 2 s, an invocation's 60 s, the
    minutes to start. What only the account has (a role, a bucket) is left to the plane.
    Raises RehearsalFailed with the cause when it does not come up or would fail on SageMaker.
    """
    known, given = settings or load_settings(), options or DeployOptions()
    how, target = replace(given, role=None, bucket=None), local_target(known)
    packed = pack_all(model, options=how, image=image, standing={}, settings=known, progress=progress)
    name = f"rehearse-{package_id(packed.package)[:12]}"
    request = build_request(name, packed.package, how, now_ms=SYSTEM_CLOCK.now_ms(), packages=packed.packages)
    source = next(iter(packed.models.values()))
    try:
        start_s = _bring_up(target, request, packed, progress)
        with progress.phase("Soak, a large body, malformed input"):
            serverless = request.variants[0].serverless is not None
            example = source.folder.input_example()
            awaits = (
                request.async_inference is not None
            )  # Takes no calls that wait for their answer; it was asked above.
            seen = Trial() if awaits else run_trial(target, name, example, soak_s=soak_s, serverless=serverless)
    finally:
        target.delete(name, force=True, progress=progress)
    result = _result(request, source.uri, start_s, seen, remarks=_remarks(given))
    if not result.passed:
        raise RehearsalFailed(" ".join(result.would_fail), fix="Correct it, then rehearse again.")
    for package in (packed.package, *packed.packages.values()):
        write_atomically(_memory(known, package_id(package)), msgspec.json.encode(result))
    return result


def _result(
    request: DeployRequest, model_uri: str, start_s: float, seen: Trial, *, remarks: tuple[str, ...]
) -> Rehearsal:
    """The trial judged by SageMaker's limits. Pure but for the time."""
    variant, package = request.variants[0], request.package
    measured = Measured(
        start_s=start_s, slowest_ms=seen.slowest_ms, payload_bytes=seen.payload_bytes,
        memory_percent=seen.memory_percent,
    )  # fmt: skip
    kind = variant.instance_type or DEFAULT_INSTANCE_TYPE
    limit = variant.serverless.memory_mb * 2**20 if variant.serverless else memory_bytes_of(kind)
    return Rehearsal(
        model_uri=model_uri,
        package=package_id(package),
        at_ms=SYSTEM_CLOCK.now_ms(),
        instance_type="serverless" if variant.serverless else kind,
        start_s=round(start_s, 3),
        image_bytes=package.image.size_bytes,
        archive_bytes=package.archive.size_bytes if package.archive else 0,
        calls=len(seen.latencies_ms),
        p50_ms=_quantile(seen.latencies_ms, 0.50),
        p99_ms=_quantile(seen.latencies_ms, 0.99),
        memory_bytes=None if seen.memory_percent is None else int(limit * seen.memory_percent / 100),
        memory_limit_bytes=limit,
        payload_bytes=seen.payload_bytes,
        large=seen.large,
        malformed=seen.malformed,
        would_fail=(
            *refusals(request, measured),
            *(f"It broke on {one.what}." for one in seen.malformed if not one.refused),
        ),
        remarks=remarks,
    )


def _remarks(given: DeployOptions) -> tuple[str, ...]:
    """What the rehearsal could not take along."""
    left = [f"{what} {value}" for what, value in (("role", given.role), ("bucket", given.bucket)) if value]
    left += ["the VPC's routes"] if given.vpc else []
    left += ["the KMS key"] if given.kms_key else []
    return (f"Not rehearsed, for only the account has it: {', '.join(left)}.",) if left else ()


def was_rehearsed(packed: Packed, settings: Settings) -> bool:
    """Whether a rehearsal of exactly this image and archive has passed on this machine."""
    return all(
        _memory(settings, package_id(package)).is_file() for package in (packed.package, *packed.packages.values())
    )


def package_id(package: Package) -> str:
    """What identifies an image and an archive together: 64 hex digits."""
    image, archive = package.image, package.archive
    text = f"{image.digest or image.reference} {archive.sha256 or archive.url if archive else ''}"
    return hashlib.sha256(text.encode()).hexdigest()


def _bring_up(target: SageMakerTarget, request: DeployRequest, packed: Packed, progress: Progress) -> float:
    """Deploys it, and gives the seconds from CreateEndpoint until it was in service."""
    try:
        for bucket in {split_url(url)[0] for url in _written(request)}:
            BucketKind().make(Making(aws=target.aws, deployment=request.name), bucket, {})
        plan = target.plan(request)
        probe = variants_probe(packed.models)
        target.apply(plan, materials=packed.materials, progress=progress, probe=probe)
    except PenstockError as error:
        raise RehearsalFailed(f"The rehearsal failed. {error.message}", fix=error.fix) from error
    found = target.aws.call("sagemaker", "describe_endpoint", EndpointName=request.name)
    return float((found["LastModifiedTime"] - found["CreationTime"]).total_seconds())


def _written(request: DeployRequest) -> Iterator[str]:
    """The s3:// URLs that the endpoint would write to: the plane lends it buckets of those names."""
    if request.capture:
        yield request.capture.s3_uri
    if request.async_inference:
        yield request.async_inference.output_s3_uri
        yield from filter(None, [request.async_inference.failure_s3_uri])


def _quantile(values: tuple[float, ...], share: float) -> float | None:
    """The value that ``share`` of them do not exceed; None for none."""
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 3) if values else None


def _memory(settings: Settings, package: str) -> Path:
    return settings.state_dir / "rehearsals" / f"{package}.json"
