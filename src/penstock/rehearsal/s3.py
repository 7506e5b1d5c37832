"""The plane's S3: moto answers, files keep. Every object is mirrored to a file of its own name and read back at start.

s3/<bucket>/<key>                  the object's bytes, under its own key where a file can bear that name
s3/<bucket>/.objects/<digest>.json its key, type, metadata and tags
"""

from __future__ import annotations

import io
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import msgspec

from penstock.ground.files import ensure_directory, remove_tree, write_atomically, writing
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.wsgi import WsgiApp

_ABOUT = ".objects"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an object beside its bytes."""

    key: str
    file: str
    etag: str
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}


class Buckets:
    """Reads and writes objects in process, and keeps the mirror on disk in step with what clients write."""

    def __init__(self, directory: Path, neighbours: Neighbours) -> None:
        self._directory = directory
        self._neighbours = neighbours
        self._lock = threading.RLock()
        self._restored = False

    def app(self) -> WsgiApp:
        """moto's S3 with the mirror behind it."""
        inner = self._neighbours.app("s3")
        self.restore()

        def mirrored(environ: dict[str, Any], start_response: Any) -> Any:
            status: list[int] = []

            def remember(line: str, headers: Any, exc_info: Any = None) -> Any:
                status.append(int(line.split(" ", 1)[0]))
                return start_response(line, headers, exc_info)

            answer = list(inner(environ, remember))
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD") and status and status[-1] < 300:
                self._follow(environ)
            return answer

        return mirrored

    def find(self, bucket: str, key: str) -> BinaryIO | None:
        """The object's bytes as a file, or None."""
        with self._lock:
            self.restore()
            found = self._backend().buckets.get(bucket)
            item = found.keys.get(key) if found else None
        return io.BytesIO(item.value) if item is not None and hasattr(item, "value") else None

    def keys(self, bucket: str, prefix: str = "") -> list[str] | None:
        """The keys under ``prefix`` in order; None if there is no such bucket."""
        with self._lock:
            self.restore()
            found = self._backend().buckets.get(bucket)
            return None if found is None else sorted(key for key in found.keys if key.startswith(prefix))

    def region_of(self, bucket: str) -> str | None:
        """The region a bucket is in; None if there is no such bucket."""
        with self._lock:
            self.restore()
            found = self._backend().buckets.get(bucket)
            return None if found is None else str(found.region_name)

    def put(self, bucket: str, key: str, content: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Writes an object. Raises KeyError if there is no such bucket."""
        with self._lock:
            self.restore()
            if bucket not in self._backend().buckets:
                raise KeyError(bucket)
            item = self._backend().put_object(bucket, key, content)
            item.set_metadata({"Content-Type": content_type})
            self._mirror(bucket, key)

    def restore(self) -> None:
        """Reads the mirror into moto, once."""
        with self._lock:
            if self._restored:
                return
            self._restored = True
            for folder in sorted(self._directory.iterdir()) if self._directory.is_dir() else ():
                self._restore_bucket(folder)

    def _restore_bucket(self, folder: Path) -> None:
        region = (folder / ".region").read_text(encoding="utf-8") if (folder / ".region").exists() else "us-east-1"
        self._backend().create_bucket(folder.name, region)
        for path in sorted((folder / _ABOUT).glob("*.json")):
            about = msgspec.json.decode(path.read_bytes(), type=About)
            item = self._backend().put_object(folder.name, about.key, (folder / about.file).read_bytes())
            item.set_metadata(about.metadata)
            if about.etag != item.etag.strip('"'):
                item._etag = about.etag
            if about.tags:
                self._backend().set_key_tags(item, about.tags)

    def _follow(self, environ: dict[str, Any]) -> None:
        """Brings the mirror in step with the bucket that a successful request wrote to."""
        path = unquote(environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]).lstrip("/")
        bucket, _, key = path.partition("/")
        with self._lock:
            if bucket not in self._backend().buckets:
                remove_tree(self._directory / bucket)
            elif key:
                self._mirror(bucket, key)
            else:
                self._mirror_bucket(bucket)

    def _mirror_bucket(self, bucket: str) -> None:
        found = self._backend().buckets[bucket]
        folder = ensure_directory(self._directory / bucket)
        write_atomically(folder / ".region", str(found.region_name).encode())
        known = {about.key for about in self._abouts(folder)}
        for key in known - set(found.keys):
            self._forget(folder, key)

    def _mirror(self, bucket: str, key: str) -> None:
        item = self._backend().buckets[bucket].keys.get(key)
        folder = ensure_directory(self._directory / bucket)
        if item is None or not hasattr(item, "value"):
            self._forget(folder, key)
            return
        file = _write_object(folder, key, item)
        tags = self._backend().tagger.get_tag_dict_for_resource(item.arn)
        about = About(key=key, file=file, etag=item.etag.strip('"'), metadata=dict(item.metadata), tags=dict(tags))
        write_atomically(folder / _ABOUT / _about_name(key), msgspec.json.encode(about))

    def _forget(self, folder: Path, key: str) -> None:
        path = folder / _ABOUT / _about_name(key)
        if path.exists():
            about = msgspec.json.decode(path.read_bytes(), type=About)
            path.unlink()
            (folder / about.file).unlink(missing_ok=True)

    def _abouts(self, folder: Path) -> list[About]:
        return [msgspec.json.decode(path.read_bytes(), type=About) for path in (folder / _ABOUT).glob("*.json")]

    def _backend(self) -> Any:
        return self._neighbours.backend("s3", "us-east-1")


def _write_object(folder: Path, key: str, item: Any) -> str:
    """Writes the object's bytes under its key, or under its key's digest where no file can bear that name."""
    for name in (_file_name(key), f"{_ABOUT}/{sha256(key.encode()).hexdigest()}.bytes"):
        try:
            with writing(folder / name) as file:
                file.write(item.value)
        except (NotADirectoryError, FileExistsError, IsADirectoryError):  # "a" and "a/b" are both keys
            continue
        return name
    raise AssertionError("a digest is always a free file name")


def _file_name(key: str) -> str:
    parts = key.split("/")
    plain = all(part and part not in (".", "..") and not part.startswith(".") and len(part) < 200 for part in parts)
    return key if plain and "\x00" not in key else f"{_ABOUT}/{sha256(key.encode()).hexdigest()}.bytes"


def _about_name(key: str) -> str:
    return f"{sha256(key.encode()).hexdigest()}.json"


def split_uri(uri: str) -> tuple[str, str]:
    """The bucket and key of an S3 URI, e.g. "s3://b/k/l" is ("b", "k/l"); also of its https spelling."""
    rest = uri.partition("://")[2]
    bucket, _, key = rest.partition("/")
    return bucket, key
