"""The image's software bill of materials: CycloneDX 1.6, the same bytes for the same image."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

from penstock.ground.files import write_atomically
from penstock.ground.version import __version__
from penstock.images.bases.apt_packages import Package
from penstock.images.bases.base import Base
from penstock.images.wheels.lock import Lock, LockedWheel
from penstock.images.wheels.wheel import open_wheel

_NAMESPACE = uuid.UUID("6f6b9c3e-55d5-5b0e-9d1c-0d9a4c2f7b11")


def ensure_sbom(lock: Lock, paths: dict[str, Path], base: Base, *, cache_dir: Path) -> bytes:
    """``build_sbom``, made once: reading what hundreds of wheels say of themselves takes longer than the rest."""
    text = "\n".join((__version__, lock.digest(), base.name, base.digest))
    kept = cache_dir / "sboms" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if not kept.is_file():
        write_atomically(kept, build_sbom(lock, paths, base))
    return kept.read_bytes()


def build_sbom(lock: Lock, paths: dict[str, Path], base: Base) -> bytes:
    """The bill for the lock's wheels and the base's packages as JSON.

    It has no time in it, and its serial number is made from its contents, so that equal images have equal bills.
    """
    components = [*(_wheel(wheel, paths[wheel.name]) for wheel in lock.wheels), *_base(base)]
    components.append(_component("library", "penstock", __version__, f"pkg:pypi/penstock@{__version__}"))
    components.sort(key=lambda component: str(component["bom-ref"]))
    serial = uuid.uuid5(_NAMESPACE, json.dumps(components, sort_keys=True))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "name": "model-image", "bom-ref": "image"},
            "tools": {"components": [{"type": "application", "name": "penstock", "version": __version__}]},
        },
        "components": components,
    }
    return json.dumps(bill, indent=1, sort_keys=True).encode() + b"\n"


def _wheel(wheel: LockedWheel, path: Path) -> dict[str, Any]:
    with open_wheel(path) as opened:
        metadata = opened.metadata()
    component = _component(
        "library", wheel.name, wheel.version, f"pkg:pypi/{wheel.name}@{quote(wheel.version)}", sha256=wheel.sha256
    )
    licence = _licence(metadata)
    return component | ({"licenses": [licence]} if licence else {})


def _licence(metadata: Message) -> dict[str, Any] | None:
    """The licence as the package states it: an SPDX expression, or the name in its classifiers or its License line."""
    if metadata["License-Expression"]:
        return {"expression": str(metadata["License-Expression"])}
    stated: Iterable[str] = metadata.get_all("Classifier") or ()
    names = [line.rpartition(" :: ")[2] for line in stated if line.startswith("License :: ")]
    short = str(metadata["License"] or "").strip().splitlines()[:1]
    name = next(iter([*names, *short]), None)
    return {"license": {"name": name}} if name else None


def _base(base: Base) -> Iterable[dict[str, Any]]:
    yield _component("container", base.name, base.digest, f"base:{base.name}@{base.digest}")
    for package in base.packages:
        yield _debian(package, base.name.partition(":")[2])


def _debian(package: Package, release: str) -> dict[str, Any]:
    version = quote(package.version, safe="")
    purl = f"pkg:deb/debian/{package.name}@{version}?arch={package.architecture}&distro={release}"
    return _component("library", package.name, package.version, purl, sha256=package.sha256)


def _component(kind: str, name: str, version: str, purl: str, *, sha256: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "name": name, "version": version, "bom-ref": purl}
    if purl.startswith("pkg:"):
        made["purl"] = purl
    if sha256:
        made["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return made
