"""How two images differ: in packages, in files, in how they start, and in bytes that must travel."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock.images.contents import FileFact, debian_versions, list_files, locked_versions
from penstock.oci.image import Image
from penstock.oci.types import encode


class Change(msgspec.Struct, frozen=True):
    """One thing that is not the same on both sides; None where it is not there."""

    name: str
    before: str | None
    after: str | None


class FileChange(msgspec.Struct, frozen=True):
    """A file that differs, with its size on each side."""

    name: str
    before_bytes: int | None
    after_bytes: int | None


class ImageDifference(msgspec.Struct, frozen=True, kw_only=True):
    """``new_bytes`` is what a registry that has the first image needs to be sent of the second."""

    packages: tuple[Change, ...]
    debian_packages: tuple[Change, ...]
    config: tuple[Change, ...]
    files: tuple[FileChange, ...]
    same_bytes: int
    new_bytes: int

    @property
    def is_empty(self) -> bool:
        return not (self.packages or self.debian_packages or self.config or self.files)


def compare_images(before: Image, after: Image) -> ImageDifference:
    """The difference; layers that both have are not opened, for they hold the same bytes."""
    shared = {layer.digest for layer in before.layers} & {layer.digest for layer in after.layers}
    files = [list_files(layer for layer in image.layers if layer.digest not in shared) for image in (before, after)]
    sizes = {layer.digest: layer.size_bytes for layer in after.layers}
    new_bytes = sum(size for digest, size in sizes.items() if digest not in shared)
    same_config = before.config_bytes() == after.config_bytes()
    return ImageDifference(
        packages=compared(locked_versions(before), locked_versions(after)),
        debian_packages=compared(debian_versions(before), debian_versions(after)),
        config=compared(_settings(before), _settings(after)),
        files=_files(*files),
        same_bytes=sum(size for digest, size in sizes.items() if digest in shared),
        new_bytes=new_bytes + (0 if same_config else len(after.config_bytes())),
    )


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """The names whose values differ, sorted."""
    wanted = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return tuple(Change(name, before.get(name), after.get(name)) for name in wanted)


def _files(before: dict[str, FileFact], after: dict[str, FileFact]) -> tuple[FileChange, ...]:
    wanted = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return tuple(FileChange(name, _size(before.get(name)), _size(after.get(name))) for name in wanted)


def _size(fact: FileFact | None) -> int | None:
    return None if fact is None else fact.size_bytes


def _settings(image: Image) -> dict[str, str]:
    """How the image starts, flat: "env PATH", "label penstock.python", "Entrypoint"."""
    document = msgspec.json.decode(encode(image.config.runtime), type=dict[str, object])
    runtime = image.config.runtime
    flat = {
        name: msgspec.json.encode(value).decode() for name, value in document.items() if name not in ("Env", "Labels")
    }
    flat |= {f"env {line.partition('=')[0]}": line.partition("=")[2] for line in runtime.env or ()}
    flat |= {f"label {name}": value for name, value in (runtime.labels or {}).items()}
    return flat | {"platform": str(image.platform)}
