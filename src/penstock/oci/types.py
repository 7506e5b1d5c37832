"""The words of image registries: platforms, descriptors, manifests, indexes and configs, as JSON and as values.

Sources: the OCI image specification 1.1 (descriptor, manifest, image-index, config) and Docker's image manifest
version 2, schema 2. Both spell the same fields; only the media types differ.
"""

from __future__ import annotations

import platform as host
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct, field

from penstock.ground.errors import InvalidInput, UnsupportedMedia

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

MANIFEST_TYPES = (DOCKER_MANIFEST, OCI_MANIFEST)
INDEX_TYPES = (DOCKER_INDEX, OCI_INDEX)

Format = Literal["docker", "oci"]
Compression = Literal["gzip", "none", "zstd"]

LAYER_TYPES: dict[tuple[Format, Compression], str] = {
    ("docker", "gzip"): DOCKER_LAYER_GZIP,
    ("docker", "none"): DOCKER_LAYER,
    ("oci", "gzip"): OCI_LAYER_GZIP,
    ("oci", "none"): OCI_LAYER,
    ("oci", "zstd"): OCI_LAYER_ZSTD,
}
COMPRESSIONS: dict[str, Compression] = {media_type: key[1] for key, media_type in LAYER_TYPES.items()}

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Platform(Struct, frozen=True, omit_defaults=True):
    """What an image runs on."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform written as ``os/architecture[/variant]``, e.g. "linux/amd64". Raises InvalidInput."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise InvalidInput(f"{text!r} is not a platform.", fix="Write it like 'linux/amd64' or 'linux/arm64'.")
        return cls(*parts)

    @classmethod
    def of_host(cls) -> Platform:
        """The Linux platform of this machine's processor."""
        machine = host.machine().lower()
        return cls("linux", _MACHINES.get(machine, machine))

    def runs(self, other: Platform) -> bool:
        """Whether an image made for ``other`` is one for this platform; arm64 and arm64/v8 are the same."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (not self.variant or self._full_variant == other._full_variant)

    @property
    def _full_variant(self) -> str:
        return self.variant or ("v8" if self.architecture == "arm64" else "")


class Descriptor(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Points at a blob or a manifest: its type, its digest, its size."""

    media_type: str
    digest: str
    size_bytes: int = field(name="size")
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None
    urls: tuple[str, ...] | None = None


class Manifest(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One image for one platform: its config and its layers, lowest first."""

    schema_version: int
    media_type: str = ""
    artifact_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A list of manifests, usually one a platform."""

    schema_version: int
    media_type: str = ""
    artifact_type: str | None = None
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class RawManifest(Struct, frozen=True):
    """A manifest or index as it travels: the digest is of exactly these bytes."""

    content: bytes
    media_type: str
    digest: str

    def decode(self) -> Manifest | Index:
        return decode_manifest(self.content, media_type=self.media_type)


class RuntimeConfig(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How a container of the image starts. Healthcheck and the like are kept as they came."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    healthcheck: dict[str, Any] | None = None
    shell: tuple[str, ...] | None = None


class RootFs(Struct, frozen=True, kw_only=True):
    """The digests of the uncompressed layers, lowest first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class History(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one layer came from; an ``empty_layer`` entry has no layer."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image is, apart from its bytes."""

    created: str | None = None
    author: str = ""
    architecture: str
    os: str
    variant: str = ""
    config: RuntimeConfig | None = None
    rootfs: RootFs = field(default_factory=RootFs)
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> Platform:
        """The platform the image says it is for."""
        return Platform(self.os, self.architecture, self.variant)

    @property
    def runtime(self) -> RuntimeConfig:
        """How a container of the image starts; never None."""
        return self.config or RuntimeConfig()


def encode(value: Struct) -> bytes:
    """The value as JSON, the same bytes whenever the values are equal."""
    return msgspec.json.encode(value, order="deterministic")


def decode_config(content: bytes) -> ImageConfig:
    """The image config written in ``content``. Raises InvalidInput."""
    return _decode(content, ImageConfig, "image config")


def decode_manifest(content: bytes, *, media_type: str = "") -> Manifest | Index:
    """The manifest or index written in ``content``; its own media type goes before the header's ``media_type``.

    Raises UnsupportedMedia for anything but the two manifest and two index types, InvalidInput for broken JSON.
    """
    probe = _decode(content, _Probe, "manifest")
    kind = probe.media_type or media_type.partition(";")[0].strip() or _guess(probe)
    if kind in INDEX_TYPES:
        return _with_type(_decode(content, Index, "image index"), kind)
    if kind in MANIFEST_TYPES:
        return _with_type(_decode(content, Manifest, "image manifest"), kind)
    raise UnsupportedMedia(
        f"The manifest has the media type {kind!r}.",
        fix=f"Give an image in one of the types {', '.join((*MANIFEST_TYPES, *INDEX_TYPES))}.",
    )


_Document = TypeVar("_Document", Manifest, Index)
_Value = TypeVar("_Value")


class _Probe(Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    manifests: Any = None
    layers: Any = None


def _guess(probe: _Probe) -> str:
    """OCI documents may leave their type out; what they hold gives it away."""
    return OCI_INDEX if probe.manifests is not None else OCI_MANIFEST if probe.layers is not None else ""


def _with_type(document: _Document, kind: str) -> _Document:
    return msgspec.structs.replace(document, media_type=kind)


def _decode(content: bytes, kind: type[_Value], what: str) -> _Value:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The {what} cannot be read: {error}.", fix="Push the image again.") from error
