"""What is in an image: its files, and the lock and bill of materials that Penstock put there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from penstock.oci.blob import Layer
from penstock.oci.compression import decompressed
from penstock.oci.image import Image
from penstock.oci.tar import DIRECTORY, FILE
from penstock.oci.tar_reader import TarReader

LOCK_PATH = "opt/venv/requirements.lock"
SBOM_PATH = "usr/share/sbom/image.cdx.json"
_LOCKED = re.compile(r"^([\w.-]+)==(\S+) --hash", re.MULTILINE)


class FileFact(msgspec.Struct, frozen=True):
    """A file or link of an image; ``sha256`` is of its bytes, or of a link's target."""

    size_bytes: int
    mode: int
    sha256: str


def list_files(layers: Iterable[Layer]) -> dict[str, FileFact]:
    """The files of these layers, lowest first, without directories: what a later layer has hides an earlier one's."""
    found: dict[str, FileFact] = {}
    for layer in layers:
        with _tar(layer) as tar:
            for member in tar:
                name = member.name.removeprefix("./").rstrip("/")
                hasher = hashlib.sha256(member.link.encode())
                for chunk in tar.chunks():
                    hasher.update(chunk)
                if member.kind != DIRECTORY:
                    found[name] = FileFact(member.size_bytes, member.mode, hasher.hexdigest())
    return found


def names(layer: Layer) -> Iterator[str]:
    """The names of all entries of a layer."""
    with _tar(layer) as tar:
        yield from (member.name.removeprefix("./").rstrip("/") for member in tar)


def find_file(image: Image, name: str) -> bytes | None:
    """The content of a small file; the layers are looked through from the top, the smallest first sign of it wins."""
    for layer in reversed(image.layers):
        with _tar(layer) as tar:
            for member in tar:
                if member.name.removeprefix("./") == name and member.kind in (FILE, b"\0"):
                    return b"".join(tar.chunks())
    return None


def locked_versions(image: Image) -> dict[str, str]:
    """The Python packages of an image that Penstock built: name to version; empty for another's."""
    lock = find_file(image, LOCK_PATH) if is_ours(image) else None
    return dict(_LOCKED.findall(lock.decode())) if lock else {}


def debian_versions(image: Image) -> dict[str, str]:
    """The Debian packages of an image that Penstock built on them: name to version."""
    content = find_file(image, SBOM_PATH) if is_ours(image) else None
    bill: dict[str, Any] = json.loads(content) if content else {}
    packages = (each for each in bill.get("components", ()) if str(each.get("purl", "")).startswith("pkg:deb/"))
    return {str(each["name"]): str(each["version"]) for each in packages}


def is_ours(image: Image) -> bool:
    """Whether Penstock built the image."""
    return "penstock.version" in (image.config.runtime.labels or {})


@contextmanager
def _tar(layer: Layer) -> Iterator[TarReader]:
    with layer.open() as packed:
        plain = decompressed(packed) if layer.compression == "gzip" else packed
        yield TarReader(plain)
