"""Pushes images to and pulls them from any registry that speaks the distribution protocol; verifies every digest.

Blobs travel in parallel threads, each read from or into a file in pieces, so that memory stays the same for any size.
An upload is one POST and one PUT: Amazon ECR loses all but the first chunk of a chunked one. A retry starts a new
session; a pull goes on where it was cut.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import httpx

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import Forbidden, IntegrityError, InvalidInput, PenstockError
from penstock.ground.progress import SILENT, Progress
from penstock.oci.auth import Anonymous, Keychain
from penstock.oci.cache import BlobCache
from penstock.oci.connection import BlobMissing, Connection, Retries
from penstock.oci.download import Download
from penstock.oci.image import MANIFEST_TYPE, Image
from penstock.oci.network import Network
from penstock.oci.parallel import run_all
from penstock.oci.reference import DEFAULT_REGISTRY, Reference
from penstock.oci.repository import Repository
from penstock.oci.selection import choose_entry, image_of, single
from penstock.oci.tally import Tally
from penstock.oci.types import Format, Manifest, Platform, RawManifest
from penstock.oci.upload import Source, Upload, memory_source

STREAMS = 4
_HUB_HOST = "registry-1.docker.io"
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
        self._connections: dict[tuple[str, bool], Connection] = {}
        self._lock = threading.Lock()
        self._network = Network(transport, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._network.close()

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
        repository = self._repository(place)
        with progress.phase(f"push {place}") as phase:
            there = _known(repository, place.tag or digest)
            if there is not None and there.digest == digest:
                phase.detail("already there")
                return digest
            sources = _sources(image)
            tally = Tally(phase, sum(source.size_bytes for source in sources))
            uploads = [Upload(repository, source, tuple(mount_from), tally) for source in sources]
            raw = RawManifest(content, MANIFEST_TYPE[format], digest)
            _send(uploads, tally, known=_blobs_of(there))
            try:
                repository.put_manifest(raw, version=place.tag or digest)
            except BlobMissing:  # somebody deleted an image that shared it since we asked: all is asked once more
                _send(uploads, tally)
                repository.put_manifest(raw, version=place.tag or digest)
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
            raw, sources = self._first_answer(place, lambda repository: _resolve(repository, place, platform))
            manifest = single(raw, what=str(place))
            blobs = {blob.digest: blob for blob in (manifest.config, *manifest.layers)}
            tally = Tally(phase, sum(blob.size_bytes for blob in blobs.values()))
            config, *layers = [Download(sources, blob, cache, tally) for blob in blobs.values()]
            config.run()
            content = cache.path(manifest.config.digest).read_bytes()
            image = image_of(raw, content, platform=platform, place=cache.path, what=str(place))
            run_all([layer.run for layer in layers], threads=STREAMS, stop=tally.stop)
        return image

    def manifest(self, reference: Reference | str) -> RawManifest:
        """The manifest or index as it travels. Raises NotFound."""
        place = _parsed(reference)
        return self._first_answer(place, lambda repository: repository.get_manifest(place.version))[0]

    def find_digest(self, reference: Reference | str) -> str | None:
        """The digest that the registry has for ``reference``, or None."""
        place = _parsed(reference)
        return self._repository(place).find_digest(place.version)

    def tags(self, repository: Reference | str) -> list[str]:
        """All tags of the repository, in the registry's order. Raises NotFound."""
        return self._repository(_parsed(repository)).tags()

    def delete(self, reference: Reference | str) -> None:
        """Deletes the manifest (by digest) or the tag alone. Raises NotFound, and InvalidInput where not offered."""
        place = _parsed(reference)
        self._repository(place).delete_manifest(place.version)

    def _first_answer(
        self, place: Reference, ask: Callable[[Repository], RawManifest]
    ) -> tuple[RawManifest, tuple[Repository, ...]]:
        """What the first mirror that has it answers, else the registry itself; and whom to ask for its blobs."""
        home = self._repository(place)
        for mirror in self._mirrors.get(place.registry, ()):
            repository = Repository(self._connection(mirror, mirror=True), place.repository, self._retry)
            try:
                return ask(repository), (repository, home)
            except PenstockError:  # whatever ails a mirror, the registry itself is asked
                continue
        return ask(home), (home,)

    def _repository(self, place: Reference) -> Repository:
        return Repository(self._connection(place.registry), place.repository, self._retry)

    def _connection(self, registry: str, *, mirror: bool = False) -> Connection:
        keychain = self._mirror_auth if mirror else self._auth
        host = _HUB_HOST if registry == DEFAULT_REGISTRY else registry
        with self._lock:
            if (host, mirror) not in self._connections:
                self._connections[host, mirror] = Connection(
                    registry, host, network=self._network, keychain=keychain, plain_http=self._plain_http
                )
            return self._connections[host, mirror]

    def _retry(self, action: Callable[[], _Value], /) -> _Value:
        return self._retries.run(action, self._clock)


def _resolve(repository: Repository, place: Reference, platform: Platform | None) -> RawManifest:
    """The manifest itself, or that of the platform in the index."""
    raw = repository.get_manifest(place.version)
    document = raw.decode()
    if isinstance(document, Manifest):
        return raw
    chosen = choose_entry(document, platform or Platform.of_host(), what=str(place))
    return repository.get_manifest(chosen.digest)


def _send(uploads: Sequence[Upload], tally: Tally, *, known: frozenset[str] = frozenset()) -> None:
    """Brings all blobs there, those that are ``known`` to be there unasked."""
    for upload in uploads:
        if upload.source.digest in known:
            tally.at(upload.source.digest, upload.source.size_bytes)
    jobs = [upload.run for upload in uploads if upload.source.digest not in known]
    run_all(jobs, threads=STREAMS, stop=tally.stop)


def _known(repository: Repository, version: str) -> RawManifest | None:
    """What the repository has under that tag, or None; for one who may push and not pull, it is as if there were none,
    and so it is for what is no manifest.

    Source: Amazon ECR's rights, where ecr:BatchGetImage is apart from those of a push.
    """
    try:
        return repository.find_manifest(version)
    except (Forbidden, IntegrityError):
        return None


def _blobs_of(there: RawManifest | None) -> frozenset[str]:
    """The blobs of an image that a repository has: it took the manifest only when it had them all."""
    try:
        manifest = None if there is None else there.decode()
    except PenstockError:
        return frozenset()
    if not isinstance(manifest, Manifest):
        return frozenset()
    return frozenset(blob.digest for blob in (manifest.config, *manifest.layers))


def _sources(image: Image) -> list[Source]:
    """The blobs of the image, each once, the small config among them."""
    layers = {layer.digest: layer for layer in image.layers}.values()
    return [memory_source(image.config_bytes()), *(Source(each.digest, each.size_bytes, each.open) for each in layers)]


def _parsed(reference: Reference | str) -> Reference:
    return Reference.parse(reference) if isinstance(reference, str) else reference
