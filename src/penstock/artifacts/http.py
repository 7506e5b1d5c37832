"""Artifacts behind a tracking server's proxy: MLflow's mlflow-artifacts routes, ours or a stock server's."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from urllib3.exceptions import HTTPError

from penstock.artifacts.paths import artifact_path, join_path
from penstock.artifacts.port import Reading
from penstock.artifacts.streams import CheckedReader, GuardedReader, SliceReader, Source, Stream, skip
from penstock.artifacts.web import Site
from penstock.ground.entities import FileInfo
from penstock.ground.errors import InvalidInput, NotFound, NotImplementedHere

API = "/api/2.0/mlflow-artifacts/artifacts"
UPLOADS = "/api/2.0/penstock/uploads"
SERVER_INFO = "/api/3.0/mlflow/server-info"
# Below this a second try costs less than asking what is there.
RESUMED_BYTES = 16 << 20


def open_proxy(uri: str, *, tracking_uri: str | None = None) -> HttpStorage:
    """The storage that ``mlflow-artifacts:/path`` means on the server ``tracking_uri``, or that an http(s) URI names.

    Credentials go to the tracking server only, never to another host that a URI names. Raises InvalidInput.
    """
    parts = urlsplit(uri)
    if parts.query or parts.fragment:
        raise InvalidInput(f"{uri!r} does not name a place for artifacts.", fix="Leave out the '?' and '#' parts.")
    server, root = _server_and_root(uri, tracking_uri)
    own = tracking_uri is not None and urlsplit(server).netloc == urlsplit(tracking_uri).netloc
    return HttpStorage(Site(server, environment=None if own else {}), artifact_path(unquote(root).strip("/")))


def _server_and_root(uri: str, tracking_uri: str | None) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts":
        if not tracking_uri or not tracking_uri.startswith(("http://", "https://")):
            raise InvalidInput(f"{uri!r} needs a tracking server.", fix="Set MLFLOW_TRACKING_URI to its address.")
        if not parts.netloc:
            return tracking_uri, parts.path
        return f"{urlsplit(tracking_uri).scheme}://{parts.netloc}", parts.path
    before, found, root = uri.partition(API)
    if not found:
        raise InvalidInput(f"{uri!r} is no artifact proxy.", fix=f"Use http(s)://host:port{API}/path.")
    return before, root


class HttpStorage:
    """The artifacts below ``root`` of the proxy at ``site``."""

    def __init__(self, site: Site, root: str) -> None:
        self._site = site
        self._root = root
        self._known_to_resume: bool | None = None

    @property
    def uri(self) -> str:
        return f"{self._site.base_url}{self._url('')}"

    def list(self, path: str) -> tuple[FileInfo, ...]:
        answer = self._site.json("GET", API, query=[("path", join_path(self._root, path))])
        infos = (_file_info(entry, path) for entry in answer.get("files", ()))
        return tuple(sorted(infos, key=lambda info: info.path))

    def find(self, path: str) -> FileInfo | None:
        if not path:
            return FileInfo(path="", is_dir=True) if self.list("") else None
        folder = str(PurePosixPath(path).parent)
        siblings = self.list("" if folder == "." else folder)
        return next((info for info in siblings if info.path == path), None)

    def open(self, path: str, *, start_byte: int = 0, end_byte: int | None = None) -> Reading:
        asked = {"Range": f"bytes={start_byte}-{'' if end_byte is None else end_byte - 1}"}
        ranged = start_byte > 0 or end_byte is not None
        answer = self._site.call("GET", self._url(path), headers=asked if ranged else {}, stream=True)
        partial = answer.status == 206
        start = start_byte if partial else 0
        stream: Stream = GuardedReader(cast("Stream", answer), f"The artifact {path!r}", (HTTPError, OSError))
        if not partial and end_byte is not None:
            stream = SliceReader(stream, end_byte)
        return Reading(
            stream,
            size_bytes=_whole_size(answer.headers, partial=partial),
            start_byte=start,
            version=answer.headers.get("ETag", "").strip('"') or None,
            sha256=answer.headers.get("X-Checksum-SHA256"),
        )

    def write(self, path: str, source: Source, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        if sha256 is not None and size_bytes is not None and size_bytes >= RESUMED_BYTES and self._resumes():
            self._go_on(path, source, size_bytes=size_bytes, sha256=sha256)
            return
        headers = {"Content-Type": "application/octet-stream"}
        if size_bytes is not None:
            headers["Content-Length"] = str(size_bytes)
        if sha256 is not None:
            headers["X-Checksum-SHA256"] = sha256
        # A source that turns out short or damaged ends the request in the middle, so that the server keeps nothing.
        checked = CheckedReader(source, f"The artifact {path!r}", size_bytes=size_bytes, sha256=sha256)
        self._site.call("PUT", self._url(path), body=b"" if size_bytes == 0 else checked, headers=headers)

    def _resumes(self) -> bool:
        """Whether the server lets an upload go on where it broke off; asked once."""
        if self._known_to_resume is None:
            try:
                info = self._site.json("GET", SERVER_INFO)
            except (InvalidInput, NotFound, NotImplementedHere):
                info = {}
            self._known_to_resume = info.get("resumable_uploads_enabled") is True
        return self._known_to_resume

    def _go_on(self, path: str, source: Source, *, size_bytes: int, sha256: str) -> None:
        """Sends what the server lacks of the file; what it has is read past, and checked with the rest."""
        url = f"{UPLOADS}/{quote(join_path(self._root, path), safe='/')}"
        known = [("sha256", sha256), ("size_bytes", str(size_bytes))]
        offset = int(self._site.json("GET", url, query=known)["received_bytes"])
        checked = CheckedReader(source, f"The artifact {path!r}", size_bytes=size_bytes, sha256=sha256)
        skip(checked, offset)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes - offset)}
        body = checked if offset < size_bytes else b""
        self._site.call("PUT", url, query=[*known, ("offset_bytes", str(offset))], body=body, headers=headers)

    def delete(self, path: str) -> None:
        try:
            self._site.call("DELETE", self._url(path))
        except NotFound:
            return

    def _url(self, path: str) -> str:
        return f"{API}/{quote(join_path(self._root, path), safe='/')}"


def _file_info(entry: dict[str, Any], folder: str) -> FileInfo:
    """A listed entry; its name comes from a server and may not lead out of ``folder``."""
    path = artifact_path(join_path(folder, str(entry["path"])))
    size = entry.get("file_size")
    is_dir = bool(entry.get("is_dir"))
    return FileInfo(path=path, is_dir=is_dir, size_bytes=None if is_dir or size is None else int(size))


def _whole_size(headers: Any, *, partial: bool) -> int | None:
    text = headers.get("Content-Range", "").rpartition("/")[2] if partial else headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None
