"""A base image from elsewhere: any registry's by digest, or files; its Python is found by looking."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.files import write_atomically
from penstock.ground.progress import SILENT, Progress
from penstock.images.bases.base import Base
from penstock.images.bytecode import find_interpreter
from penstock.images.contents import names
from penstock.images.target import Target
from penstock.oci.auth import DockerConfig
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.oci.reference import Reference
from penstock.oci.types import Platform

_PYTHON = re.compile(r"((?:usr/local|usr|opt/[^/]+)/bin/python(3\.\d+))$")


class _Found(msgspec.Struct, frozen=True):
    """The Pythons of an image: path by minor version."""

    pythons: dict[str, str]


def ensure_registry_base(
    name: str,
    target: Target,
    *,
    cache_dir: Path,
    blobs: BlobCache,
    refresh: bool = False,
    progress: Progress = SILENT,
    client: RegistryClient | None = None,
) -> Base:
    """The image ``name`` for the target's platform, every digest verified.

    The digest that a tag had is kept, so that a rebuild gives the same image; ``refresh`` asks the registry anew.
    Raises EnvironmentMismatch when it has no Python of the target's minor version.
    """
    reference = Reference.parse(name)
    kept = cache_dir / "bases" / re.sub(r"\W+", "-", f"{reference} {target.platform}")
    wanted = reference
    if not refresh and not reference.digest and kept.is_file():
        wanted = reference.at(kept.read_text(encoding="ascii"))
    platform = Platform.parse(target.platform)
    with client or RegistryClient(auth=DockerConfig()) as registry:
        image = registry.pull(wanted, platform=platform, cache=blobs, progress=progress)
    write_atomically(kept, (image.source_digest or image.digest()).encode())
    return base_of(image, target, name)


def base_of(image: Image, target: Target, name: str) -> Base:
    """``image`` as a base. Raises EnvironmentMismatch for another platform or Python than the target's."""
    if not Platform.parse(target.platform).runs(image.platform):
        raise EnvironmentMismatch(
            f"The base image {name} is for {image.platform}, not {target.platform}.", fix="Give --base another image."
        )
    path = python_path(image, target, name)
    return Base(
        image=image,
        target=target,
        python_path=path,
        name=name,
        digest=image.source_digest or image.digest(),
        interpreter=find_interpreter(target.python),
    )


def python_path(image: Image, target: Target, name: str) -> str:
    """Where the target's Python lies in the image. Raises EnvironmentMismatch naming those that it has."""
    found: dict[str, str] = {}
    for layer in image.layers:
        matches = (_PYTHON.match(each) for each in names(layer))
        found |= {match[2]: f"/{match[1]}" for match in matches if match}
    if target.python in found:
        return found[target.python]
    has = f"Python {', '.join(sorted(found))}" if found else "no Python"
    raise EnvironmentMismatch(
        f"The model needs Python {target.python}, and the base image {name} has {has}.",
        fix=f"Give --base an image with Python {target.python}; pickled models do not move between minor versions.",
    )
