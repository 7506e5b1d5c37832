"""Artifacts up and down through the server: streamed in constant memory, ranges served, uploads whole or absent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from urllib.parse import quote

from penstock.artifacts.paths import artifact_path, join_path
from penstock.artifacts.port import Reading
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.errors import InvalidInput, NotFound
from penstock.server.context import Context, opened
from penstock.server.fields import integer, text
from penstock.server.handlers.artifacts import check_serving
from penstock.server.handlers.experiments import Answer
from penstock.server.handlers.model_versions import resolve_source
from penstock.server.routes import Route, Work, reads
from penstock.serving.http.types import Request, Response
from penstock.store.limits import invalid_value

CHUNK_BYTES = 1 << 20
MAX_ARTIFACT_BYTES = 1 << 50
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class StreamSource:
    """A request's stream as a file that another thread reads; its end is checked by the HTTP server."""

    def __init__(self, stream: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            self._rest = asyncio.run_coroutine_threadsafe(self._gather(), self._loop).result()
        wanted = len(self._rest) if size < 0 else size
        chunk, self._rest = self._rest[:wanted], self._rest[wanted:]
        if size < 0:
            while more := self.read(CHUNK_BYTES):
                chunk += more
        return chunk

    async def _gather(self) -> bytes:
        """Up to about a chunk of what arrives, or nothing at the end."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self._stream:
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES // 4:
                break
        return b"".join(pieces)


async def upload(context: Context, request: Request, pool: Executor, *, path: str) -> Response:
    """Keeps the request's body as the artifact ``path``."""
    check_serving(context)
    clean = file_path(path)
    repository = opened(context.options.artifacts_destination)
    loop = asyncio.get_running_loop()
    length = request.headers.get("content-length")
    size_bytes = int(length) if length is not None else None
    stream = request.stream if request.stream is not None else _whole(request.body)
    source = StreamSource(stream, loop)
    sha256 = request.headers.get("x-checksum-sha256")
    await loop.run_in_executor(pool, lambda: repository.write(clean, source, size_bytes=size_bytes, sha256=sha256))
    return Response(200, b"{}", [("content-type", "application/json")])


def received(context: Context, *, path: str, sha256: str, size_bytes: int) -> Answer:
    """How much of an upload that broke off is here."""
    check_serving(context)
    repository = opened(context.options.artifacts_destination)
    return {"received_bytes": repository.received_bytes(file_path(path), sha256=_digest(sha256), size_bytes=size_bytes)}


async def go_on(
    context: Context, request: Request, pool: Executor, *, path: str, sha256: str, size_bytes: int, offset_bytes: int
) -> Response:
    """Adds the request's body to an upload, which becomes the artifact ``path`` once it is whole."""
    check_serving(context)
    clean, digest = file_path(path), _digest(sha256)
    repository = opened(context.options.artifacts_destination)
    loop = asyncio.get_running_loop()
    source = StreamSource(request.stream if request.stream is not None else _whole(request.body), loop)

    def work() -> None:
        repository.append(clean, source, sha256=digest, size_bytes=size_bytes, offset_bytes=offset_bytes)

    await loop.run_in_executor(pool, work)
    return Response(200, b"{}", [("content-type", "application/json")])


def _digest(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise invalid_value("sha256", sha256, "It must be 64 lower-case hex digits.")
    return sha256


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def download(context: Context, request: Request, pool: Executor, *, path: str) -> Response:
    """The artifact ``path`` of the proxy's destination."""
    check_serving(context)
    return await send(opened(context.options.artifacts_destination), file_path(path), request, pool)


async def delete(context: Context, _request: Request, pool: Executor, *, path: str) -> Response:
    """Removes the artifact or the folder ``path``."""
    check_serving(context)
    clean = artifact_path(path)
    if not clean:
        raise InvalidInput("Invalid path: the artifact root itself is not deleted.", fix="Name an artifact.")
    repository = opened(context.options.artifacts_destination)
    await asyncio.get_running_loop().run_in_executor(pool, repository.delete, clean)
    return Response(200, b"{}", [("content-type", "application/json")])


async def run_artifact(context: Context, request: Request, pool: Executor, *, run_id: str, path: str) -> Response:
    """An artifact of a run, for browsers."""
    find = lambda: context.store.tracking.get_run(run_id).info.artifact_uri  # noqa: E731
    return await _below(context, await asyncio.get_running_loop().run_in_executor(pool, find), path, request, pool)


async def model_artifact(context: Context, request: Request, pool: Executor, *, model_id: str, path: str) -> Response:
    """An artifact of a logged model, for browsers."""
    find = lambda: context.store.tracking.get_logged_model(model_id).artifact_uri  # noqa: E731
    return await _below(context, await asyncio.get_running_loop().run_in_executor(pool, find), path, request, pool)


async def version_artifact(
    context: Context, request: Request, pool: Executor, *, name: str, version: int, path: str
) -> Response:
    """An artifact of a model version, for browsers."""

    def find() -> str:
        return resolve_source(context, context.store.registry.get_model_version(name, version))

    return await _below(context, await asyncio.get_running_loop().run_in_executor(pool, find), path, request, pool)


async def _below(context: Context, root_uri: str, path: str, request: Request, pool: Executor) -> Response:
    clean = file_path(path)
    repository, prefix = context.artifacts_at(root_uri)
    return await send(repository, join_path(artifact_path(prefix), clean), request, pool)


def file_path(path: str) -> str:
    """``path`` cleaned. Raises InvalidInput when it is the root or could climb out of it."""
    clean = artifact_path(path)
    if not clean:
        raise InvalidInput("Invalid path: it does not name an artifact.", fix="Name a file.")
    return clean


async def send(repository: ArtifactRepository, path: str, request: Request, pool: Executor) -> Response:
    """The artifact as an attachment; a part of it when the request asks for one range (RFC 9110, 14)."""
    loop = asyncio.get_running_loop()
    info = await loop.run_in_executor(pool, repository.find, path)
    if info is None:
        raise NotFound(f"There is no artifact {path!r}.", fix="List the folder first.")
    if info.is_dir:
        raise InvalidInput(f"Invalid path: {path!r} is a directory.", fix="Name a file in it.")
    name = quote(path.rpartition("/")[2])
    headers = [
        ("content-type", "application/octet-stream"),
        ("content-disposition", f"attachment; filename*=UTF-8''{name}"),
        ("accept-ranges", "bytes"),
    ]
    wanted = _range_of(request, info.size_bytes)
    if wanted is None:
        return Response(416, b"", [("content-range", f"bytes */{info.size_bytes}")])
    start, end = wanted
    reading = await loop.run_in_executor(pool, lambda: repository.open(path, start_byte=start, end_byte=end))
    whole = info.size_bytes if reading.size_bytes is None else reading.size_bytes
    if reading.version is not None:
        headers.append(("etag", f'"{reading.version}"'))
    if reading.sha256 is not None:
        headers.append(("x-checksum-sha256", reading.sha256))
    status = 200
    if end is not None:
        status = 206
        headers.append(("content-range", f"bytes {start}-{end - 1}/{whole if whole is not None else '*'}"))
    if whole is not None:
        headers.append(("content-length", str((whole if end is None else end) - start)))
    return Response(status, _pieces(reading, pool), headers)


async def _pieces(reading: Reading, pool: Executor) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    try:
        while piece := await loop.run_in_executor(pool, reading.read, CHUNK_BYTES):
            yield piece
    finally:
        reading.close()


def _range_of(request: Request, size_bytes: int | None) -> tuple[int, int | None] | None:
    """(first byte, end or None for everything), or None for a range that lies outside. Other forms mean everything."""
    match = _RANGE.fullmatch(request.headers.get("range") or "")
    if match is None or size_bytes is None or request.headers.get("if-range"):
        return 0, None
    first, last = match.groups()
    if not first and not last:
        return 0, None
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    return (start, end) if start < end else None


PATH = text("path", required=True)
PROXY = "2.0/mlflow-artifacts/artifacts/{path}"
UPLOADS = "2.0/penstock/uploads/{path}"
WHOLE = (text("sha256", required=True), integer("size_bytes", required=True))
STREAMS: tuple[Route, ...] = (
    Route(method="PUT", path=PROXY, handler=upload, work=Work.STREAM, max_body_bytes=MAX_ARTIFACT_BYTES),
    reads(UPLOADS, received, *WHOLE),
    Route(
        method="PUT",
        path=UPLOADS,
        handler=go_on,
        fields=(*WHOLE, integer("offset_bytes", required=True)),
        work=Work.STREAM,
        max_body_bytes=MAX_ARTIFACT_BYTES,
    ),
    Route(method="GET", path=PROXY, handler=download, work=Work.STREAM),
    Route(method="DELETE", path=PROXY, handler=delete, work=Work.STREAM),
    Route(
        method="GET",
        path="/get-artifact",
        handler=run_artifact,
        fields=(text("run_id", required=True, also="run_uuid"), PATH),
        work=Work.STREAM,
        bare=True,
    ),
    Route(
        method="GET",
        path="/model-versions/get-artifact",
        handler=version_artifact,
        fields=(text("name", required=True), integer("version", required=True), PATH),
        work=Work.STREAM,
        bare=True,
    ),
    Route(
        method="GET",
        path="2.0/mlflow/logged-models/{model_id}/artifacts/files",
        handler=model_artifact,
        fields=(text("artifact_file_path", name="path", required=True),),
        work=Work.STREAM,
    ),
)
