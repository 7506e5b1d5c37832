"""What is known of hosting instance types: processor, cores, memory; and which variants may be asked for."""

from __future__ import annotations

import re
from typing import Any

from penstock.rehearsal.wire.exceptions import invalid

# Graviton families (service model's ProductionVariantInstanceType, facts of mid 2026); everything else is amd64.
_ARM64 = re.compile(r"ml\.(c6g|c6gd|c6gn|c7g|c8g|m6g|m6gd|m8g|r6g|r6gd|r7gd|r8g|p6e-gb200)\.")
_ACCELERATED = re.compile(r"ml\.(g|p|dl|inf|trn)\d")
_GIB_PER_CORE = {"c": 2.0, "m": 4.0, "r": 8.0}
_CORES = {"medium": 1, "large": 2, "xlarge": 4}
_T2_MEMORY_GIB = {"medium": 4.0, "large": 8.0, "xlarge": 16.0, "2xlarge": 32.0}
_SERVERLESS_MB = (1024, 2048, 3072, 4096, 5120, 6144)


def architecture_of(instance_type: str) -> str:
    """The OCI architecture of an instance type, e.g. "arm64" for "ml.c7g.large"."""
    return "arm64" if _ARM64.match(instance_type) else "amd64"


def cores_of(instance_type: str) -> int:
    """Virtual cores by the size's name, e.g. 8 for "ml.m5.2xlarge"."""
    size = instance_type.rsplit(".", 1)[-1]
    if size.endswith("xlarge") and size != "xlarge":
        return 4 * int(size.removesuffix("xlarge"))
    return _CORES.get(size, 2)


def memory_bytes_of(instance_type: str) -> int:
    """The memory ceiling of an instance type, from its family's ratio; 4 GiB a core where the family is not known."""
    _, family, size = [*instance_type.split("."), "", ""][:3]
    if family == "t2":
        return int(_T2_MEMORY_GIB.get(size, 8.0) * 2**30)
    return int(cores_of(instance_type) * _GIB_PER_CORE.get(family[:1], 4.0) * 2**30)


def check_variant_instances(variant: dict[str, Any], config: dict[str, Any]) -> None:
    """Raises AwsError unless the variant is either serverless or on instances, within what goes together."""
    serverless = variant.get("ServerlessConfig")
    if serverless is None:
        if "InstanceType" not in variant or "InitialInstanceCount" not in variant:
            raise invalid("Either ServerlessConfig, or InstanceType and InitialInstanceCount, must be given.")
        return
    if "InstanceType" in variant or "InitialInstanceCount" in variant:
        raise invalid("A variant with ServerlessConfig takes neither InstanceType nor InitialInstanceCount.")
    check_concurrency(serverless)
    if serverless["MemorySizeInMB"] not in _SERVERLESS_MB:
        raise invalid(f"MemorySizeInMB must be one of {', '.join(map(str, _SERVERLESS_MB))}.")
    if len(config["ProductionVariants"]) > 1:
        raise invalid("A serverless endpoint takes one production variant only.")
    if "AsyncInferenceConfig" in config:
        raise invalid("A serverless variant cannot be invoked asynchronously.")
    if config.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise invalid("Data capture is not supported for serverless endpoints.")


def check_concurrency(serverless: dict[str, Any]) -> None:
    """Raises AwsError for a ServerlessConfig that provisions more than may run at once."""
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        raise invalid("ProvisionedConcurrency must be less than or equal to MaxConcurrency.")
