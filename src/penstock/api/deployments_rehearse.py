"""The rehearsal: the same plan, image and archive on the embedded plane, called, soaked and fed nonsense."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.api.deployments_model import ModelSource, open_model
from penstock.api.deployments_package import Packed, pack
from penstock.api.deployments_probe import example_probe
from penstock.api.deployments_target import local_target
from penstock.deploy.limits import Measured, refusals
from penstock.deploy.options import DeployOptions, build_request
from penstock.deploy.request import DeployRequest, Package
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import ModelFailed, PenstockError, RehearsalFailed
from penstock.ground.files import write_atomically
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuiltImage

# Bodies that a caller may send by mistake: each must be refused, none may break the server.
MALFORMED: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "application/json"),
    "an empty body": (b"", "application/json"),
    "no known form": (b'{"rows": []}', "application/json"),
    "a format nobody reads": (b"x", "application/x-nothing"),
}


class Refused(Struct, frozen=True, kw_only=True):
    """How the model met one malformed body: ``refused`` is False if it took it or broke."""

    what: str
    refused: bool
    answer: str


class Rehearsal(Struct, frozen=True, kw_only=True):
    """What a rehearsal saw. Latencies are the caller's, in milliseconds; ``would_fail`` is empty when all is well."""

    model_uri: str
    package: str
    at_ms: int
    start_s: float
    calls: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    malformed: tuple[Refused, ...] = ()
    would_fail: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.would_fail


def rehearse(
    model: str | Path | ModelSource,
    *,
    options: DeployOptions | None = None,
    image: BuiltImage | str | None = None,
    soak_s: float = 5.0,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Rehearsal:
    """Deploys the model to the embedded plane, tries it, and removes it again; a pass is remembered for ``deploy``.

    Raises RehearsalFailed with the cause when it does not come up or would fail on SageMaker.
    """
    known, how = settings or load_settings(), options or DeployOptions()
    source, target = open_model(model), local_target(known)
    packed = pack(source, options=how, image=image, settings=known, progress=progress)
    name = f"rehearse-{package_id(packed.package)[:12]}"
    request = build_request(name, packed.package, how, now_ms=SYSTEM_CLOCK.now_ms())
    try:
        begun = time.perf_counter()
        _bring_up(target, request, packed, source, progress)
        start_s = time.perf_counter() - begun
        with progress.phase("Soak and malformed input"):
            seen = _try(target, name, source, soak_s)
    finally:
        target.delete(name, force=True, progress=progress)
    latencies, malformed, payload = seen
    measured = Measured(start_s=start_s, slowest_ms=max(latencies, default=0.0), payload_bytes=payload)
    result = Rehearsal(
        model_uri=source.uri,
        package=package_id(packed.package),
        at_ms=SYSTEM_CLOCK.now_ms(),
        start_s=round(start_s, 3),
        calls=len(latencies),
        p50_ms=_quantile(latencies, 0.50),
        p99_ms=_quantile(latencies, 0.99),
        malformed=malformed,
        would_fail=(
            *refusals(request, measured),
            *(f"It broke on {one.what}." for one in malformed if not one.refused),
        ),
    )
    if not result.passed:
        raise RehearsalFailed(" ".join(result.would_fail), fix="Correct it, then rehearse again.")
    write_atomically(_memory(known, result.package), msgspec.json.encode(result))
    return result


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


def _bring_up(
    target: SageMakerTarget, request: DeployRequest, packed: Packed, source: ModelSource, progress: Progress
) -> None:
    try:
        plan = target.plan(request)
        target.apply(plan, materials=packed.materials, progress=progress, probe=example_probe(source))
    except PenstockError as error:
        raise RehearsalFailed(f"The rehearsal failed. {error.message}", fix=error.fix) from error


def _try(
    target: SageMakerTarget, name: str, source: ModelSource, soak_s: float
) -> tuple[list[float], tuple[Refused, ...], int]:
    example = source.folder.input_example()
    body = msgspec.json.encode(example.payload()) if example else b""
    latencies = list(_soak(target, name, body, soak_s)) if example else []
    malformed = tuple(_refused(target, name, what, *sent) for what, sent in MALFORMED.items())
    return latencies, malformed, len(body)


def _soak(target: SageMakerTarget, name: str, body: bytes, seconds: float) -> Iterator[float]:
    """The latency of each call, one after another, for that many seconds."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield target.invoke(name, body).latency_ms


def _refused(target: SageMakerTarget, name: str, what: str, body: bytes, content_type: str) -> Refused:
    try:
        answer = target.invoke(name, body, content_type=content_type)
    except ModelFailed as error:
        return Refused(what=what, refused="answered 4" in error.message, answer=error.message.splitlines()[0][:200])
    except PenstockError as error:
        return Refused(what=what, refused=True, answer=error.message[:200])
    return Refused(what=what, refused=False, answer=answer.body[:200].decode("utf-8", "replace"))


def _quantile(values: list[float], share: float) -> float | None:
    """The value that ``share`` of them do not exceed; None for none."""
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 3) if values else None


def _memory(settings: Settings, package: str) -> Path:
    return settings.state_dir / "rehearsals" / f"{package}.json"
