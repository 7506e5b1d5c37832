"""What SageMaker would refuse or cut off, judged from a package and from what a rehearsal measured. Pure.

The figures are AWS's documented limits; the payload's has two readings (6 MB for years, 25 MB in current pages).
"""

from __future__ import annotations

from msgspec import Struct

from penstock.deploy.request import DOCKER_MANIFEST, DeployRequest

INVOCATION_S = 60.0
STARTUP_S = 480.0
SERVERLESS_STARTUP_S = 180.0
SERVERLESS_IMAGE_BYTES = 10_000_000_000
PAYLOAD_SAFE_BYTES = 6_000_000
PAYLOAD_BYTES = 25_000_000
SERVERLESS_PAYLOAD_BYTES = 4_000_000
# The instance's own system and agents take some of its memory; a container that leaves less is at their mercy.
MEMORY_PERCENT = 90.0
ENVIRONMENT_ENTRIES = 100
ENVIRONMENT_VALUE_BYTES = 1024


class Measured(Struct, frozen=True, kw_only=True):
    """What a rehearsal saw: seconds until in service, the slowest call, the example's size, the most memory held."""

    start_s: float
    slowest_ms: float
    payload_bytes: int
    memory_percent: float | None = None


def refusals(request: DeployRequest, measured: Measured) -> tuple[str, ...]:
    """A sentence for each thing that would fail on SageMaker; none when all is well."""
    return (*_package_refusals(request), *_measured_refusals(request, measured))


def _package_refusals(request: DeployRequest) -> list[str]:
    image, found = request.package.image, []
    if image.reference is None and image.media_type != DOCKER_MANIFEST:
        found.append(f"The image's manifest is {image.media_type}; CreateModel takes only Docker v2 schema 2.")
    if _serverless(request) and image.size_bytes > SERVERLESS_IMAGE_BYTES:
        found.append(f"The image has {image.size_bytes / 1e9:.1f} GB; serverless takes at most 10 GB.")
    env = request.env or {}
    if len(env) > ENVIRONMENT_ENTRIES:
        found.append(f"There are {len(env)} environment variables; at most {ENVIRONMENT_ENTRIES} are taken.")
    long = [key for key, value in env.items() if len(value.encode()) > ENVIRONMENT_VALUE_BYTES]
    found.extend(f"The environment variable {key} is longer than 1024 bytes." for key in long)
    return found


def _measured_refusals(request: DeployRequest, measured: Measured) -> list[str]:
    found = []
    asked = max((variant.startup_timeout_s or 0 for variant in request.variants), default=0)
    startup = SERVERLESS_STARTUP_S if _serverless(request) else float(asked or STARTUP_S)
    if measured.start_s > startup:
        found.append(f"It took {measured.start_s:.0f} s to start; SageMaker waits {startup:.0f} s.")
    if measured.slowest_ms > INVOCATION_S * 1000:
        found.append(f"A call took {measured.slowest_ms / 1000:.0f} s; SageMaker ends it after {INVOCATION_S:.0f} s.")
    if measured.memory_percent is not None and measured.memory_percent > MEMORY_PERCENT:
        held = f"{measured.memory_percent:.0f} % of the instance type's memory"
        found.append(f"It held {held}; SageMaker's own part of the instance needs the rest.")
    payload = SERVERLESS_PAYLOAD_BYTES if _serverless(request) else PAYLOAD_BYTES
    if measured.payload_bytes > payload:
        found.append(
            f"The example has {measured.payload_bytes / 1e6:.1f} MB; at most {payload / 1e6:.0f} MB are taken."
        )
    elif measured.payload_bytes > PAYLOAD_SAFE_BYTES:
        found.append(f"The example has {measured.payload_bytes / 1e6:.1f} MB; over 6 MB some regions still refuse.")
    return found


def _serverless(request: DeployRequest) -> bool:
    return any(variant.serverless is not None for variant in request.variants)
