"""Images in an OCI layout: a folder of blobs and an index, which skopeo, podman and others read and write.

Source: the OCI image specification 1.1, image-layout.md.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

import msgspec

from penstock.ground.errors import EnvironmentMismatch, IntegrityError, InvalidInput, NotFound
from penstock.ground.files import ensure_directory, locked, write_atomically, writing
from penstock.oci.digests import DigestingReader, digest_of, hex_of, mismatch, verify
from penstock.oci.image import Image
from penstock.oci.selection import MAX_CONFIG_BYTES, image_of, single
from penstock.oci.types import (
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Platform,
    RawManifest,
    decode_config,
    decode_manifest,
    encode,
)

REF_NAME = "org.opencontainers.image.ref.name"
_MARKER = b'{"imageLayoutVersion":"1.0.0"}'
CHUNK_BYTES = 1 << 20


def write_layout(image: Image, directory: Path, *, tag: str = "latest") -> str:
    """Adds the image, in the OCI format, to the layout in ``directory`` (made if needed), and gives its digest."""
    manifest = image.manifest("oci")
    for layer in image.layers:
        with layer.open() as stream:
            _write_blob(directory, layer.digest, stream)
    for content in (image.config_bytes(), manifest):
        write_atomically(_blob(directory, digest_of(content)), content)
    entry = Descriptor(
        media_type=OCI_MANIFEST,
        digest=digest_of(manifest),
        size_bytes=len(manifest),
        platform=image.platform,
        annotations={REF_NAME: tag},
    )
    with locked(directory / ".lock"):
        others = (known for known in _entries(directory) if (known.annotations or {}).get(REF_NAME) != tag)
        index = Index(schema_version=2, media_type=OCI_INDEX, manifests=(*others, entry))
        write_atomically(directory / "index.json", encode(index))
        write_atomically(directory / "oci-layout", _MARKER)
    return entry.digest


def read_layout(directory: Path, *, tag: str | None = None, platform: Platform | None = None) -> Image:
    """The image called ``tag`` (or the only one) in the layout, its layers left where they are, every digest checked.

    Raises InvalidInput (no layout), NotFound, EnvironmentMismatch, IntegrityError.
    """
    if not (directory / "oci-layout").is_file():
        raise InvalidInput(f"{directory} is not an OCI layout: it has no oci-layout file.")
    entries = _entries(directory)
    named = [entry for entry in entries if tag is None or (entry.annotations or {}).get(REF_NAME) == tag]
    if not named or (tag is None and platform is None and len(named) > 1):
        names = ", ".join((entry.annotations or {}).get(REF_NAME, entry.digest) for entry in entries) or "nothing"
        raise NotFound(f"{directory} holds no single image to take.", fix=f"Name one by its tag; it holds {names}.")
    return _image(directory, _chosen(directory, named, platform))


def _chosen(directory: Path, entries: list[Descriptor], platform: Platform | None) -> bytes:
    """The manifest for the platform among ``entries``, nested indexes looked into."""
    offered: list[Platform] = []
    for entry in entries:
        content = _read(directory, entry.digest)
        document = decode_manifest(content, media_type=entry.media_type)
        if isinstance(document, Index):
            inner = [one for one in document.manifests if one.platform is None or one.platform.os != "unknown"]
            return _chosen(directory, inner, platform or Platform.of_host())
        config = decode_config(_read(directory, document.config.digest))
        if platform is None or platform.runs(config.platform):
            return content
        offered.append(config.platform)
    listed = ", ".join(map(str, offered)) or "nothing"
    raise EnvironmentMismatch(f"{directory} holds no image for {platform}.", fix=f"It offers {listed}.")


def _image(directory: Path, content: bytes) -> Image:
    raw, what = RawManifest(content, "", digest_of(content)), str(directory)
    config = _read(directory, single(raw, what=what).config.digest)
    image = image_of(raw, config, platform=None, place=lambda digest: _blob(directory, digest), what=what)
    for layer in {layer.digest: layer for layer in image.layers}.values():
        _check(_blob(directory, layer.digest), layer.digest)
    return image


def _check(path: Path, digest: str) -> None:
    with _opened(path) as stream:
        reader = DigestingReader(stream)
        reader.drain()
    if reader.digest != digest:
        raise mismatch(str(path), expected=digest, actual=reader.digest)


def _entries(directory: Path) -> tuple[Descriptor, ...]:
    try:
        return msgspec.json.decode((directory / "index.json").read_bytes(), type=Index).manifests
    except FileNotFoundError:
        return ()
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{directory}/index.json cannot be read: {error}.") from error


def _blob(directory: Path, digest: str) -> Path:
    return directory / "blobs" / "sha256" / hex_of(digest)


def _read(directory: Path, digest: str) -> bytes:
    path = _blob(directory, digest)
    with _opened(path) as stream:
        return verify(stream.read(MAX_CONFIG_BYTES), digest=digest, what=str(path))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise IntegrityError(f"The layout has no blob {path.name}. Write it again.") from None


def _write_blob(directory: Path, digest: str, stream: BinaryIO) -> None:
    path = _blob(directory, digest)
    if not path.exists():
        ensure_directory(path.parent)
        with writing(path) as file:
            shutil.copyfileobj(stream, file, CHUNK_BYTES)
