"""One repository of one registry, as the distribution specification lets a client see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import httpx
import msgspec
from msgspec import Struct

from penstock.ground.errors import IntegrityError
from penstock.oci.connection import Connection
from penstock.oci.digests import digest_of, verify
from penstock.oci.types import INDEX_TYPES, MANIFEST_TYPES, RawManifest

MAX_DOCUMENT_BYTES = 4 << 20
_ACCEPT = {"Accept": ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))}
_Value = TypeVar("_Value")


class Retry(Protocol):
    """Runs an action, again while that may help."""

    def __call__(self, action: Callable[[], _Value], /) -> _Value: ...


class _TagsPage(Struct):
    tags: list[str] | None = None


class Repository(Struct, frozen=True):
    """Manifests and tags by name; blobs travel by ``Upload`` and ``Download``."""

    connection: Connection
    name: str
    retry: Retry

    def find_digest(self, version: str) -> str | None:
        """The digest that the registry has for the tag or digest ``version``, or None."""

        def ask() -> str | None:
            with self.connection.send("HEAD", self._manifest(version), expect=(200, 404), headers=_ACCEPT) as response:
                found: str | None = response.headers.get("Docker-Content-Digest")
                return found if response.status_code == 200 else None

        return self.retry(ask)

    def find_manifest(self, version: str) -> RawManifest | None:
        """The manifest or index called ``version`` as the registry gives it, believed in nothing, or None."""

        def ask() -> RawManifest | None:
            url = self._manifest(version)
            with self.connection.send("GET", url, expect=(200, 404), headers=_ACCEPT) as response:
                if response.status_code == 404:
                    return None
                content = _capped(response)
                return RawManifest(content, response.headers.get("Content-Type", ""), digest_of(content))

        return self.retry(ask)

    def get_manifest(self, version: str) -> RawManifest:
        """The manifest or index called ``version``. Raises NotFound, IntegrityError if it is another one."""

        def ask() -> RawManifest:
            with self.connection.send("GET", self._manifest(version), expect=(200,), headers=_ACCEPT) as response:
                content = _capped(response)
                told = response.headers.get("Docker-Content-Digest")
                media_type = response.headers.get("Content-Type", "")
            promised = version if ":" in version else told
            if promised:
                verify(content, digest=promised, what=f"The manifest {self.name}:{version}")
            return RawManifest(content, media_type, digest_of(content))

        return self.retry(ask)

    def put_manifest(self, manifest: RawManifest, *, version: str) -> None:
        """Puts the manifest, whose blobs are all there, under a tag or its digest."""
        headers = {"Content-Type": manifest.media_type, "Content-Length": str(len(manifest.content))}

        def ask() -> None:
            with self.connection.send(
                "PUT", self._manifest(version), expect=(200, 201), headers=headers, body=lambda: [manifest.content]
            ) as response:
                told = response.headers.get("Docker-Content-Digest", manifest.digest)
            if told != manifest.digest:
                raise IntegrityError(
                    f"{self.connection.registry} took the manifest {manifest.digest} for {told}.",
                    fix="Do not trust this registry.",
                )

        self.retry(ask)

    def delete_manifest(self, version: str) -> None:
        """Deletes a manifest by its digest, or a tag alone."""

        def ask() -> None:
            with self.connection.send("DELETE", self._manifest(version), expect=(200, 202, 204)):
                pass

        self.retry(ask)

    def tags(self) -> list[str]:
        """All tags, page by page, in the registry's order; a page that was seen before ends the list."""
        url: httpx.URL | None = self.connection.url(f"{self.name}/tags/list")
        found: list[str] = []
        seen: set[str] = set()
        while url is not None and str(url) not in seen:
            seen.add(str(url))
            page, url = self._tags_page(url)
            found += page
        return found

    def _tags_page(self, url: httpx.URL) -> tuple[list[str], httpx.URL | None]:
        def ask() -> tuple[list[str], httpx.URL | None]:
            with self.connection.send("GET", url, expect=(200,)) as response:
                content = _capped(response)
                following = response.links.get("next", {}).get("url")
                return _tags(content), response.url.join(following) if following else None

        return self.retry(ask)

    def _manifest(self, version: str) -> httpx.URL:
        return self.connection.url(f"{self.name}/manifests/{version}")


def _tags(content: bytes) -> list[str]:
    try:
        return msgspec.json.decode(content, type=_TagsPage).tags or []
    except msgspec.DecodeError as error:
        raise IntegrityError(f"The list of tags cannot be read: {error}. Tell the registry's operators.") from error


def _capped(response: httpx.Response) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > MAX_DOCUMENT_BYTES:
            raise IntegrityError(f"{response.url.host} sent a document of over {MAX_DOCUMENT_BYTES} bytes. Refuse it.")
    return bytes(content)
