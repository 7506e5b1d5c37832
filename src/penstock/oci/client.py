"""Pushes images to and pulls them from any registry that speaks the distribution protocol; verifies every digest.

Blobs travel in parallel threads, each read from or into a file in pieces, so that memory stays the same for any size.
An upload is one POST and one PUT: Amazon ECR loses all but the first chunk of a chunked one. A retry starts a new
session; a pull goes on where it was cut.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

import httpx

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import (
    EnvironmentMismatch,
    IntegrityError,
    InvalidInput,
    PenstockError,
    UnsupportedMedia,
)
from penstock.ground.progress import SILENT, Progress
from penstock.oci.auth import Anonymous, Keychain
from penstock.oci.blob import LayerBlob
from penstock.oci.cache import BlobCache
from penstock.oci.connection import Connection, Retries
from penstock.oci.digests import digest_of, verify
from penstock.oci.image import Image
from penstock.oci.reference import DEFAULT_REGISTRY, Reference
from penstock.oci.transfer import Download, Source, Tally, Upload, memory_source
from penstock.oci.types import (
    COMPRESSIONS,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Compression,
    Descriptor,
    Format,
    Index,
    Manifest,
    Platform,
    RawManifest,
    decode_config,
)

MAX_MANIFEST_BYTES = 4 << 20
STREAMS = 4
_ACCEPT = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
_HUB_HOST = "registry-1.docker.io"
_UNKNOWN = "unknown"
_Value = TypeVar("_Value")


class RegistryClient:
    """A client of image registries.

    ``auth`` is asked for credentials by registry; ``insecure_http`` allows plain HTTP beyond loopback; ``mirrors``
    lists for a registry the hosts to pull from first (asked without credentials unless ``mirror_auth`` has some).
    ``transport`` replaces the network.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        *,
        auth: Keychain | None = None,
        insecure_http: bool = False,
        mirrors: Mapping[str, Sequence[str]] | None = None,
        mirror_auth: Keychain | None = None,
        retries: Retries | None = None,
        timeout_seconds: float = 60.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._auth = auth or Anonymous()
        self._plain_http = insecure_http
        self._mirrors = mirrors or {}
        self._mirror_auth = mirror_auth or Anonymous()
        self._retries = retries or Retries()
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()
        self._http = _http_client(transport, timeout_seconds)

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._http.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def push(
        self,
        image: Image,
        reference: Reference | str,
        *,
        format: Format = "docker",
        mount_from: Sequence[str] = (),
        progress: Progress = SILENT,
    ) -> str:
        """Puts the image where ``reference`` says and gives its digest; what the registry has already stays home.

        ``mount_from`` names repositories of the same registry that may have some of the blobs.
        Raises Unauthenticated, Forbidden, NotFound (no such repository), AlreadyExists (an immutable tag), Unavailable.
        """
        place = _parsed(reference)
        content, digest = image.manifest(format), image.digest(format)
        if place.digest not in ("", digest):
            raise InvalidInput(f"The image's digest is {digest}, not that of {place}. Push it by a tag.")
        with progress.phase(f"push {place}") as phase:
            if self.find_digest(place) == digest:
                phase.detail("already there")
                return digest
            config = image.config_bytes()
            sources = {layer.digest: Source(layer.digest, layer.size_bytes, layer.open) for layer in image.layers}
            sources[digest_of(config)] = memory_source(config)
            tally = Tally(phase, sum(source.size_bytes for source in sources.values()))
            uploads = [self._upload(place, source, mount_from, tally) for source in sources.values()]
            _in_parallel([upload.run for upload in uploads], tally)
            self._put_manifest(place, content, digest)
        return digest

    def pull(
        self,
        reference: Reference | str,
        *,
        cache: BlobCache,
        platform: Platform | None = None,
        progress: Progress = SILENT,
    ) -> Image:
        """The image for ``platform`` (default: this machine's Linux), all its blobs in ``cache``, every digest checked.

        Raises NotFound, EnvironmentMismatch (no such platform), IntegrityError, Unauthenticated, Unavailable.
        """
        place = _parsed(reference)
        with progress.phase(f"pull {place}") as phase:
            raw, connection = self._first_answer(place, lambda connection: self._resolve(connection, place, platform))
            manifest = _single(raw, str(place))
            blobs = {blob.digest: blob for blob in (manifest.config, *manifest.layers)}
            tally = Tally(phase, sum(blob.size_bytes for blob in blobs.values()))
            config, *layers = [self._download(place, connection, blob, cache, tally) for blob in blobs.values()]
            config.run()
            image = _assembled(raw, cache, platform, what=str(place))
            _in_parallel([layer.run for layer in layers], tally)
        return image

    def manifest(self, reference: Reference | str) -> RawManifest:
        """The manifest or index as it travels. Raises NotFound."""
        place = _parsed(reference)
        return self._first_answer(place, lambda connection: self._get_manifest(connection, place, place.version))[0]

    def find_digest(self, reference: Reference | str) -> str | None:
        """The digest that the registry has for ``reference``, or None."""
        place = _parsed(reference)
        connection = self._connection(place.registry)
        url = connection.url(f"{place.repository}/manifests/{place.version}")

        def ask() -> str | None:
            with connection.send("HEAD", url, expect=(200, 404), headers={"Accept": _ACCEPT}) as response:
                found = response.headers.get("Docker-Content-Digest") if response.status_code == 200 else None
                return str(found) if found else None

        return self._retry(ask)

    def tags(self, repository: Reference | str) -> list[str]:
        """All tags of the repository, in the registry's order. Raises NotFound."""
        place = _parsed(repository)
        connection = self._connection(place.registry)
        url: httpx.URL | None = connection.url(f"{place.repository}/tags/list")
        found: list[str] = []
        while url is not None:
            page, url = self._retry(lambda url=url: _tags_page(connection, url))  # type: ignore[misc]
            found += page
        return found

    def delete(self, reference: Reference | str) -> None:
        """Deletes the manifest (by digest) or the tag alone. Raises NotFound, and InvalidInput where not offered."""
        place = _parsed(reference)
        connection = self._connection(place.registry)
        url = connection.url(f"{place.repository}/manifests/{place.version}")

        def ask() -> None:
            with connection.send("DELETE", url, expect=(200, 202, 204)):
                pass

        self._retry(ask)

    def _upload(self, place: Reference, source: Source, mount_from: Sequence[str], tally: Tally) -> Upload:
        return Upload(self._connection(place.registry), place.repository, source, tuple(mount_from), self._retry, tally)

    def _download(
        self, place: Reference, connection: Connection, blob: Descriptor, cache: BlobCache, tally: Tally
    ) -> Download:
        home = self._connection(place.registry)
        connections = (connection,) if connection is home else (connection, home)
        return Download(connections, place.repository, blob, cache, self._retry, tally)

    def _put_manifest(self, place: Reference, content: bytes, digest: str) -> None:
        connection = self._connection(place.registry)
        url = connection.url(f"{place.repository}/manifests/{place.tag or digest}")
        media_type = RawManifest(content, "", digest).decode().media_type

        def ask() -> None:
            headers = {"Content-Type": media_type, "Content-Length": str(len(content))}
            with connection.send("PUT", url, expect=(200, 201), headers=headers, body=lambda: [content]) as response:
                told = response.headers.get("Docker-Content-Digest", digest)
            if told != digest:
                raise IntegrityError(
                    f"{place.registry} took the manifest {digest} for {told}.", fix="Do not trust this registry."
                )

        self._retry(ask)

    def _resolve(self, connection: Connection, place: Reference, platform: Platform | None) -> RawManifest:
        """The manifest itself, or that of the platform in the index."""
        raw = self._get_manifest(connection, place, place.version)
        parsed = raw.decode()
        if isinstance(parsed, Manifest):
            return raw
        chosen = _choose(parsed, platform or Platform.of_host(), str(place))
        return self._get_manifest(connection, place, chosen.digest)

    def _get_manifest(self, connection: Connection, place: Reference, version: str) -> RawManifest:
        url = connection.url(f"{place.repository}/manifests/{version}")

        def ask() -> RawManifest:
            with connection.send("GET", url, expect=(200,), headers={"Accept": _ACCEPT}) as response:
                content = _capped(response, MAX_MANIFEST_BYTES)
                media_type = response.headers.get("Content-Type", "")
                told = response.headers.get("Docker-Content-Digest")
            promised = version if ":" in version else told
            if promised:
                verify(content, digest=promised, what=f"The manifest {place}")
            return RawManifest(content, media_type, digest_of(content))

        return self._retry(ask)

    def _first_answer(
        self, place: Reference, ask: Callable[[Connection], RawManifest]
    ) -> tuple[RawManifest, Connection]:
        """What the first mirror that has it answers, else the registry itself."""
        for mirror in self._mirrors.get(place.registry, ()):
            connection = self._connection(mirror, mirror=True)
            try:
                return ask(connection), connection
            except PenstockError:  # whatever ails a mirror, the registry itself is asked
                continue
        home = self._connection(place.registry)
        return ask(home), home

    def _connection(self, registry: str, *, mirror: bool = False) -> Connection:
        keychain = self._mirror_auth if mirror else self._auth
        host = _HUB_HOST if registry == DEFAULT_REGISTRY else registry
        with self._lock:
            key = f"mirror {host}" if mirror else host
            if key not in self._connections:
                self._connections[key] = Connection(
                    registry, host, http=self._http, keychain=keychain, plain_http=self._plain_http
                )
            return self._connections[key]

    def _retry(self, action: Callable[[], _Value]) -> _Value:
        return self._retries.run(action, self._clock)


def _http_client(transport: httpx.BaseTransport | None, timeout_seconds: float) -> httpx.Client:
    timeout = httpx.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds))
    headers = {"User-Agent": "penstock", "Accept-Encoding": "identity"}
    if transport is not None:
        return httpx.Client(transport=transport, timeout=timeout, headers=headers)
    direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}  # past any proxy
    return httpx.Client(timeout=timeout, headers=headers, mounts=direct)


def _parsed(reference: Reference | str) -> Reference:
    return Reference.parse(reference) if isinstance(reference, str) else reference


def _in_parallel(jobs: Iterable[Callable[[], None]], tally: Tally) -> None:
    """Runs the jobs in a few threads; the first error stops the others and is raised."""
    with ThreadPoolExecutor(STREAMS, thread_name_prefix="penstock-oci") as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if not all(future.done() for future in futures):
                tally.stop()
                pool.shutdown(wait=False, cancel_futures=True)
    for future in done:
        future.result()


def _choose(index: Index, platform: Platform, what: str) -> Descriptor:
    """The index's entry for the platform; entries of attestations (unknown/unknown) are passed over."""
    offered = [entry for entry in index.manifests if entry.platform and entry.platform.os != _UNKNOWN]
    for entry in offered:
        if entry.platform is not None and platform.runs(entry.platform):
            return entry
    listed = ", ".join(str(entry.platform) for entry in offered) or "nothing"
    raise EnvironmentMismatch(f"{what} is not made for {platform}.", fix=f"It offers {listed}.")


def _single(raw: RawManifest, what: str) -> Manifest:
    manifest = raw.decode()
    if not isinstance(manifest, Manifest):
        raise InvalidInput(f"{what} is an index of indexes, which is not read here. Pull one of its images.")
    return manifest


def _assembled(raw: RawManifest, cache: BlobCache, platform: Platform | None, *, what: str) -> Image:
    """The image of that manifest, whose config is in the cache and whose layers are or will be."""
    manifest = _single(raw, what)
    content = verify(cache.path(manifest.config.digest).read_bytes(), digest=manifest.config.digest, what="The config")
    config = decode_config(content)
    if platform is not None and not platform.runs(config.platform):
        raise EnvironmentMismatch(f"{what} is made for {config.platform}, not for {platform}.", fix="Choose another.")
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise IntegrityError(f"{what} has {len(manifest.layers)} layers and {len(diff_ids)} diff_ids. Build it again.")
    layers = tuple(
        LayerBlob(diff_id, layer.digest, layer.size_bytes, cache.path(layer.digest), _compression(layer))
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
    )
    return Image(config=config, layers=layers, raw_config=content, raw_manifest=raw.content)


def _compression(layer: Descriptor) -> Compression:
    known = COMPRESSIONS.get(layer.media_type)
    if known is None:
        raise UnsupportedMedia(
            f"A layer has the media type {layer.media_type!r}.", fix="Choose an image of Linux layers."
        )
    return known


def _tags_page(connection: Connection, url: httpx.URL) -> tuple[list[str], httpx.URL | None]:
    with connection.send("GET", url, expect=(200,)) as response:
        content = _capped(response, MAX_MANIFEST_BYTES)
        following = response.links.get("next", {}).get("url")
        document = httpx.Response(200, content=content).json()
        next_url = response.url.join(following) if following else None
    return [str(tag) for tag in document.get("tags") or []], next_url


def _capped(response: httpx.Response, limit_bytes: int) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > limit_bytes:
            raise IntegrityError(f"{response.url.host} sent a document of over {limit_bytes} bytes.", fix="Refuse it.")
    return bytes(content)
