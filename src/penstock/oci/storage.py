"""A registry's storage: a directory that is sound after a kill at any moment.

    blobs/<hex>                              bytes, moved here by one rename once their digest was checked
    uploads/<id>/{repository,data}           uploads under way; the offset is the size of ``data``
    repositories/<name>/_blobs/<hex>         empty: the repository may serve this blob
    repositories/<name>/_manifests/<hex>     the manifest's media type; its bytes are a blob
    repositories/<name>/_tags/<tag>          the digest the tag points at
    repositories/<name>/_referrers/<hex>/<hex>   empty: the second manifest names the first as its subject

What is written first is never pointed at before it is whole: bytes, then the link, then the manifest, then the tag.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from msgspec import Struct

from penstock.ground.errors import Conflict, InvalidInput, NotFound
from penstock.ground.files import ensure_directory, locked, remove_tree, sha256_of, storage_errors, write_atomically
from penstock.oci.digests import DIGEST, check_digest, digest_of, hex_of, mismatch
from penstock.oci.reference import REPOSITORY, TAG
from penstock.oci.types import Index, Manifest, RawManifest, decode_manifest

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class UploadSession(Struct, frozen=True):
    """Bytes on their way in; ``size_bytes`` of them are here."""

    id: str
    repository: str
    size_bytes: int


class RegistryStorage:
    """Blobs, manifests and tags of many repositories under one directory. Threads and processes may share it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._blobs = ensure_directory(directory / "blobs")
        self._uploads = ensure_directory(directory / "uploads")
        self._repositories = ensure_directory(directory / "repositories")

    def repositories(self) -> list[str]:
        """The names of all repositories that something was put into, sorted."""
        found = {path.parent for kind in ("_blobs", "_manifests") for path in self._repositories.rglob(kind)}
        return sorted(path.relative_to(self._repositories).as_posix() for path in found)

    def has_repository(self, repository: str) -> bool:
        return any((self._repository(repository) / kind).is_dir() for kind in ("_blobs", "_manifests"))

    def find_blob(self, repository: str, digest: str) -> Path | None:
        """The file of a blob that ``repository`` may serve."""
        name = hex_of(digest)
        linked = any((self._repository(repository) / kind / name).exists() for kind in ("_blobs", "_manifests"))
        path = self._blobs / name
        return path if linked and path.exists() else None

    def mount_blob(self, repository: str, digest: str, *, source: str) -> bool:
        """Whether ``repository`` may now serve a blob of the repository ``source`` too."""
        with self._shared():
            if self.find_blob(source, digest) is None:
                return False
            self._touch(self._repository(repository) / "_blobs" / hex_of(digest))
            return True

    def delete_blob(self, repository: str, digest: str) -> None:
        """Unlinks the blob from the repository; its bytes go with the next garbage collection. Raises NotFound."""
        try:
            (self._repository(repository) / "_blobs" / hex_of(digest)).unlink()
        except FileNotFoundError:
            raise NotFound(f"{repository} has no blob {digest}.") from None

    def start_upload(self, repository: str) -> UploadSession:
        """A new, empty upload."""
        upload_id = secrets.token_hex(16)
        directory = ensure_directory(self._uploads / upload_id)
        (directory / "data").touch()
        write_atomically(directory / "repository", repository.encode())
        return UploadSession(upload_id, repository, 0)

    def upload(self, repository: str, upload_id: str) -> UploadSession:
        """An upload under way. Raises NotFound."""
        directory = self._uploads / upload_id
        with suppress(FileNotFoundError, NotADirectoryError):
            if _UPLOAD_ID.fullmatch(upload_id) and (directory / "repository").read_text() == repository:
                return UploadSession(upload_id, repository, (directory / "data").stat().st_size)
        raise NotFound(f"No upload {upload_id} is under way in {repository}.", fix="Start a new one.")

    def append(self, upload: UploadSession, chunks: Iterable[bytes]) -> UploadSession:
        """The upload with ``chunks`` at its end; what arrived before an error stays. Raises Conflict, StorageFailed."""
        path = self._uploads / upload.id / "data"
        with locked(path.with_name("lock")), storage_errors(path), path.open("ab") as file:
            if file.tell() != upload.size_bytes:
                raise Conflict("Somebody else is writing to this upload.", fix="Start a new one.")
            for chunk in chunks:
                file.write(chunk)
        return self.upload(upload.repository, upload.id)

    def finish_upload(self, upload: UploadSession, digest: str) -> None:
        """Makes the upload a blob of its repository. Raises IntegrityError, and forgets it, if it is another one."""
        path = self._uploads / upload.id / "data"
        with storage_errors(path), path.open("rb+") as file:
            os.fsync(file.fileno())
        actual = f"sha256:{sha256_of(path)}"
        if actual != check_digest(digest):
            self.cancel_upload(upload)
            raise mismatch("The upload", expected=digest, actual=actual)
        with self._shared():
            path.replace(self._blobs / hex_of(digest))
            self._touch(self._repository(upload.repository) / "_blobs" / hex_of(digest))
        self.cancel_upload(upload)

    def cancel_upload(self, upload: UploadSession) -> None:
        """Forgets the upload."""
        shutil.rmtree(self._uploads / upload.id, ignore_errors=True)

    def put_manifest(self, repository: str, content: bytes, *, media_type: str, tag: str | None = None) -> str:
        """Keeps a manifest or index, tags it, and gives its digest. Raises NotFound naming a blob that is not here."""
        if tag is not None and not TAG.fullmatch(tag):
            raise InvalidInput(f"{tag[:200]!r} cannot be a tag.", fix="Use letters, digits, '_', '.' and '-'.")
        manifest = decode_manifest(content, media_type=media_type)
        digest = digest_of(content)
        root = self._repository(repository)
        with self._shared():
            for needed in _needed(manifest):
                if self.find_blob(repository, needed) is None:
                    raise NotFound(f"{repository} has no blob {needed}, which the manifest names. Push it first.")
            write_atomically(self._blobs / hex_of(digest), content)
            if manifest.subject is not None:
                self._touch(root / "_referrers" / hex_of(manifest.subject.digest) / hex_of(digest))
            write_atomically(root / "_manifests" / hex_of(digest), manifest.media_type.encode())
            if tag is not None:
                write_atomically(root / "_tags" / tag, digest.encode())
        return digest

    def find_manifest(self, repository: str, version: str) -> RawManifest | None:
        """The manifest called ``version``, a digest or a tag."""
        root = self._repository(repository)
        if not (TAG.fullmatch(version) or DIGEST.fullmatch(version)):
            return None
        with suppress(FileNotFoundError):
            digest = version if ":" in version else (root / "_tags" / version).read_text()
            media_type = (root / "_manifests" / hex_of(digest)).read_text()
            return RawManifest((self._blobs / hex_of(digest)).read_bytes(), media_type, digest)
        return None

    def manifests(self, repository: str) -> list[str]:
        """The digests of the repository's manifests, sorted."""
        return sorted(f"sha256:{name}" for name in _names(self._repository(repository) / "_manifests"))

    def tags(self, repository: str) -> dict[str, str]:
        """The repository's tags in lexical order, each with the digest it points at."""
        directory = self._repository(repository) / "_tags"
        return {tag: (directory / tag).read_text() for tag in sorted(_names(directory))}

    def referrers(self, repository: str, digest: str) -> list[RawManifest]:
        """The manifests that name ``digest`` as their subject."""
        names = sorted(_names(self._repository(repository) / "_referrers" / hex_of(digest)))
        found = (self.find_manifest(repository, f"sha256:{name}") for name in names)
        return [manifest for manifest in found if manifest is not None]

    def delete_tag(self, repository: str, tag: str) -> None:
        """Forgets the tag, not the manifest. Raises NotFound."""
        if tag not in self.tags(repository):
            raise NotFound(f"{repository} has no tag {tag}.")
        (self._repository(repository) / "_tags" / tag).unlink(missing_ok=True)

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Forgets the manifest, every tag that points at it, and the blobs that only it needed. Raises NotFound."""
        root = self._repository(repository)
        with self._exclusive():
            stored = self.find_manifest(repository, digest)
            if stored is None:
                raise NotFound(f"{repository} has no manifest {digest}.")
            for tag, target in self.tags(repository).items():
                if target == digest:
                    self.delete_tag(repository, tag)
            (root / "_manifests" / hex_of(digest)).unlink()
            for link in (root / "_referrers").glob(f"*/{hex_of(digest)}"):
                link.unlink(missing_ok=True)
            released = set(map(hex_of, _needed(stored.decode()))) - self._needed_by(repository)
            for name in released:
                (root / "_blobs" / name).unlink(missing_ok=True)
            self._remove_unlinked({*released, hex_of(digest)})

    def delete_repository(self, repository: str) -> None:
        """Forgets all of the repository; one of the name ``repository/more`` stays. Absent is fine."""
        root = self._repository(repository)
        with self._exclusive():
            released = {name for kind in ("_blobs", "_manifests") for name in _names(root / kind)}
            for kind in ("_tags", "_manifests", "_blobs", "_referrers"):
                remove_tree(root / kind)
            self._remove_unlinked(released)
            while root != self._repositories and root.exists() and not any(root.iterdir()):
                root.rmdir()
                root = root.parent

    def collect_garbage(self, *, older_than_seconds: float = 3600) -> int:
        """Removes blobs that no manifest needs and uploads that nobody finished; gives the bytes that this freed.

        What is younger than ``older_than_seconds`` may belong to a push that is under way, and stays.
        """
        before = time.time() - older_than_seconds
        with self._exclusive():
            freed = sum(_remove_if_older(path, before) for path in self._uploads.iterdir())
            for repository in self.repositories():
                needed = self._needed_by(repository)
                for link in (self._repository(repository) / "_blobs").glob("*"):
                    if link.name not in needed:
                        _remove_if_older(link, before)
            linked = self._linked()
            freed += sum(_remove_if_older(path, before) for path in self._blobs.iterdir() if path.name not in linked)
        return freed

    def _needed_by(self, repository: str) -> set[str]:
        """The names of the blobs that the repository's manifests need."""
        stored = (self.find_manifest(repository, digest) for digest in self.manifests(repository))
        return {hex_of(digest) for manifest in stored if manifest for digest in _needed(manifest.decode())}

    def _linked(self) -> set[str]:
        """The names of the blobs and manifests that any repository has."""
        return {path.name for path in self._repositories.rglob("*") if path.parent.name in ("_blobs", "_manifests")}

    def _remove_unlinked(self, names: set[str]) -> None:
        for name in names - self._linked():
            (self._blobs / name).unlink(missing_ok=True)

    def _repository(self, repository: str) -> Path:
        """The repository's directory. Raises InvalidInput for a name that no repository can have."""
        if not REPOSITORY.fullmatch(repository):
            raise InvalidInput(
                f"{repository[:300]!r} cannot name a repository.", fix="Use lower case, like team/model."
            )
        return self._repositories / repository

    def _touch(self, path: Path) -> None:
        ensure_directory(path.parent)
        with storage_errors(path):
            path.touch()

    def _shared(self) -> AbstractContextManager[None]:
        return locked(self.directory / "lock", shared=True)

    def _exclusive(self) -> AbstractContextManager[None]:
        return locked(self.directory / "lock")


def _needed(manifest: Manifest | Index) -> Iterator[str]:
    """The digests that must be here before ``manifest`` may be; layers that live elsewhere by design are not."""
    if isinstance(manifest, Index):
        yield from (entry.digest for entry in manifest.manifests)
    else:
        yield manifest.config.digest
        yield from (layer.digest for layer in manifest.layers if not layer.urls)


def _names(directory: Path) -> list[str]:
    """The files of ``directory`` but for those that are being written."""
    with suppress(FileNotFoundError):
        return [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    return []


def _remove_if_older(path: Path, before: float) -> int:
    """The bytes that were freed; none if ``path`` is younger than ``before``, or went meanwhile."""
    with suppress(FileNotFoundError):
        if path.stat().st_mtime <= before:
            parts = list(path.iterdir()) if path.is_dir() else [path]
            size_bytes = sum(part.stat().st_size for part in parts)
            remove_tree(path)
            return size_bytes
    return 0
