"""Images as frozen values: a config and layers. Sources make one, sinks take one, and each change gives a new one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from penstock.ground.errors import InvalidInput
from penstock.oci.blob import Layer, describe
from penstock.oci.digests import digest_of
from penstock.oci.types import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    Format,
    History,
    ImageConfig,
    Manifest,
    Platform,
    RootFs,
    RuntimeConfig,
    decode_manifest,
    encode,
)

MANIFEST_TYPE: dict[Format, str] = {"docker": DOCKER_MANIFEST, "oci": OCI_MANIFEST}
CONFIG_TYPE: dict[Format, str] = {"docker": DOCKER_CONFIG, "oci": OCI_CONFIG}
CREATED = "1980-01-01T00:00:00Z"
MAX_LAYERS = 127


class Image(Struct, frozen=True, kw_only=True):
    """An image for one platform, its layers lowest first.

    One that was read from somewhere keeps the bytes it was read as, so that its digests stay what they were;
    a change drops them.
    """

    config: ImageConfig
    layers: tuple[Layer, ...] = ()
    raw_config: bytes | None = None
    raw_manifest: bytes | None = None

    @property
    def platform(self) -> Platform:
        return self.config.platform

    def config_bytes(self) -> bytes:
        """The config as it travels; its diff_ids are always those of the layers."""
        if self.raw_config is not None:
            return self.raw_config
        return encode(replace(self.config, rootfs=RootFs(diff_ids=tuple(layer.diff_id for layer in self.layers))))

    def manifest(self, format: Format = "docker") -> bytes:
        """The manifest in Docker's form (version 2, schema 2) or OCI's: the same blobs under other names."""
        if self.raw_manifest is not None and decode_manifest(self.raw_manifest).media_type == MANIFEST_TYPE[format]:
            return self.raw_manifest
        config = self.config_bytes()
        return encode(
            Manifest(
                schema_version=2,
                media_type=MANIFEST_TYPE[format],
                config=Descriptor(media_type=CONFIG_TYPE[format], digest=digest_of(config), size_bytes=len(config)),
                layers=tuple(describe(layer, format) for layer in self.layers),
            )
        )

    def digest(self, format: Format = "docker") -> str:
        """The digest of the manifest in that format: what the image is deployed by."""
        return digest_of(self.manifest(format))

    @property
    def source_digest(self) -> str | None:
        """The digest it was read by, in whichever format it was then; None for one that was made here."""
        return None if self.raw_manifest is None else digest_of(self.raw_manifest)

    @property
    def size_bytes(self) -> int:
        """The bytes that a registry keeps of it: layers and config, the same layer once."""
        return sum({layer.digest: layer.size_bytes for layer in self.layers}.values()) + len(self.config_bytes())

    def append(self, layers: Sequence[Layer], *, notes: Sequence[str] = ()) -> Image:
        """The image with ``layers`` on top; ``notes`` (one a layer) say in its history what each is there for.

        Raises InvalidInput past the 127 layers that a container engine can stack.
        """
        if len(self.layers) + len(layers) > MAX_LAYERS:
            raise InvalidInput(f"An image holds at most {MAX_LAYERS} layers.", fix="Group small layers together.")
        told = tuple(notes) + ("",) * (len(layers) - len(notes))
        history = (*self._history(), *(History(created=CREATED, created_by=note) for note in told))
        config = replace(self.config, history=history)
        return Image(config=config, layers=(*self.layers, *layers))

    def configured(self, runtime: RuntimeConfig) -> Image:
        """The image, started in that way."""
        return Image(config=replace(self.config, config=runtime), layers=self.layers)

    def _history(self) -> tuple[History, ...]:
        """One entry a layer and more: engines refuse a history whose count is not the layers'."""
        history = self.config.history or ()
        missing = len(self.layers) - sum(not entry.empty_layer for entry in history)
        return (*history, *(History(created=CREATED),) * missing)


def empty_image(platform: Platform) -> Image:
    """An image for ``platform`` with nothing in it."""
    return Image(
        config=ImageConfig(
            created=CREATED, architecture=platform.architecture, os=platform.os, variant=platform.variant
        )
    )
