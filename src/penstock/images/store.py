"""The images that were built or pulled here: small records beside the cache that holds their blobs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import InvalidInput, NotFound
from penstock.ground.files import CHUNK_BYTES, ensure_directory, locked, write_atomically
from penstock.ground.names import near
from penstock.images.target import Target
from penstock.oci.blob import Layer, LayerBlob
from penstock.oci.cache import BlobCache
from penstock.oci.image import Image
from penstock.oci.types import Compression, decode_config


class _Layer(msgspec.Struct, frozen=True):
    diff_id: str
    digest: str
    size_bytes: int
    compression: Compression


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is kept here, without its bytes.

    ``requirements`` and ``base_name`` are what it was built from; both are empty for one that was pulled.
    """

    digest: str
    names: tuple[str, ...]
    made_ms: int
    size_bytes: int
    config: bytes
    manifest: bytes | None
    layers: tuple[_Layer, ...]
    target: Target | None = None
    requirements: tuple[str, ...] = ()
    base_name: str = ""


class ImageStore:
    """The images kept under a cache directory. A build holds ``using()``, so that ``prune`` waits for it."""

    def __init__(self, cache_dir: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.blobs = BlobCache(cache_dir / "oci")
        self._directory = ensure_directory(cache_dir / "images")
        self._lock = cache_dir / "images.lock"
        self._clock = clock

    def using(self) -> AbstractContextManager[None]:
        """Keeps others from pruning blobs while they are being used."""
        return locked(self._lock, shared=True)

    def keep(
        self,
        image: Image,
        *,
        names: Iterable[str] = (),
        target: Target | None = None,
        requirements: tuple[str, ...] = (),
        base_name: str = "",
    ) -> StoredImage:
        """The record of ``image``, its blobs brought into the cache; names move here from the images that had them."""
        wanted = tuple(dict.fromkeys(names))
        for layer in image.layers:
            self._take(layer)
        for other in self.list():
            left = tuple(name for name in other.names if name not in wanted)
            if other.digest != image.digest() and left != other.names:
                self._write(msgspec.structs.replace(other, names=left))
        known = self._read(self._path(image.digest()))
        stored = StoredImage(
            digest=image.digest(),
            names=tuple(dict.fromkeys((*(known.names if known else ()), *wanted))),
            made_ms=known.made_ms if known else self._clock.now_ms(),
            size_bytes=image.size_bytes,
            config=image.config_bytes(),
            manifest=image.raw_manifest,
            layers=tuple(
                _Layer(layer.diff_id, layer.digest, layer.size_bytes, layer.compression) for layer in image.layers
            ),
            target=target,
            requirements=requirements,
            base_name=base_name,
        )
        self._write(stored)
        return stored

    def _take(self, layer: Layer) -> None:
        """Brings a layer that lies elsewhere, such as in a layout that served as base, into the cache."""
        if self.blobs.find_blob(layer.digest, size_bytes=layer.size_bytes) is None:
            with layer.open() as stream, self.blobs.writing() as partial:
                shutil.copyfileobj(stream, partial.file, CHUNK_BYTES)
                partial.keep(layer.digest)

    def list(self) -> tuple[StoredImage, ...]:
        """All images, the newest first."""
        found = (self._read(path) for path in self._directory.glob("*.json"))
        return tuple(sorted((image for image in found if image), key=lambda image: (-image.made_ms, image.digest)))

    def get(self, name: str) -> StoredImage:
        """The image called ``name``: one of its names, or its digest or the start of it. Raises NotFound."""
        found = self.find(name)
        if found is None:
            known = [known for image in self.list() for known in image.names]
            raise NotFound(f"No image {name!r} is kept here.{near(name, known)}", fix="Build or pull it first.")
        return found

    def find(self, name: str) -> StoredImage | None:
        """As ``get``, or None. Raises InvalidInput when several digests start so."""
        images = self.list()
        named = [image for image in images if name in image.names]
        start = name if name.startswith("sha256:") else f"sha256:{name}"
        matches = named or [image for image in images if len(name) >= 4 and image.digest.startswith(start)]
        if len(matches) > 1:
            raise InvalidInput(f"Several images start with {name!r}.", fix="Give more of the digest.")
        return matches[0] if matches else None

    def image(self, stored: StoredImage) -> Image:
        """The image itself. Raises NotFound when some of its blobs are gone."""
        layers = []
        for layer in stored.layers:
            path = self.blobs.find_blob(layer.digest, size_bytes=layer.size_bytes)
            if path is None:
                raise NotFound(
                    f"The image {stored.digest} lost its layer {layer.digest}.", fix="Build or pull it again."
                )
            layers.append(LayerBlob(layer.diff_id, layer.digest, layer.size_bytes, path, layer.compression))
        return Image(
            config=decode_config(stored.config),
            layers=tuple(layers),
            raw_config=stored.config,
            raw_manifest=stored.manifest,
        )

    def forget(self, stored: StoredImage) -> None:
        """Removes the record; blobs stay until ``prune``."""
        self._path(stored.digest).unlink(missing_ok=True)

    def prune(self) -> int:
        """Removes the blobs that no image here uses, and gives the bytes that this freed. Waits for builds to end."""
        with locked(self._lock):
            used = {layer.digest for image in self.list() for layer in image.layers}
            return self._remove_all_but(used)

    def _remove_all_but(self, digests: set[str]) -> int:
        freed_bytes = 0
        for path in (self.blobs.directory / "blobs" / "sha256").iterdir():
            if f"sha256:{path.name}" not in digests:
                freed_bytes += path.stat().st_size
                path.unlink()
        return freed_bytes

    def _path(self, digest: str) -> Path:
        return self._directory / f"{digest.removeprefix('sha256:')}.json"

    def _write(self, stored: StoredImage) -> None:
        write_atomically(self._path(stored.digest), msgspec.json.encode(stored))

    def _read(self, path: Path) -> StoredImage | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=StoredImage)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
