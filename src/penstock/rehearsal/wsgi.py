"""A WSGI application behind our asynchronous server: bodies spooled to a file, answers in pieces, all in threads."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from penstock.serving.http.types import Request, Response

_IN_MEMORY_BYTES = 1 << 20
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


async def call_wsgi(app: WsgiApp, request: Request, *, executor: Executor) -> Response:
    """The application's answer. The application and everything it yields run in ``executor``."""
    loop = asyncio.get_running_loop()
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
        size = await _spool(request, body, executor)
        environ = environ_of(request, body, size)
        return await loop.run_in_executor(executor, _run, app, environ, loop, executor)


def environ_of(request: Request, body: IO[bytes], size_bytes: int) -> dict[str, Any]:
    """The WSGI environ of a request whose body lies in ``body``."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": (request.headers.get("host") or "").rpartition(":")[2] or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name not in ("content-type", "content-length", "transfer-encoding", "expect"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["CONTENT_TYPE"] = request.headers.get("content-type") or ""
    if size_bytes or "content-length" in request.headers:
        environ["CONTENT_LENGTH"] = str(size_bytes)
    return environ


async def _spool(request: Request, body: IO[bytes], executor: Executor) -> int:
    """Writes the request's body to ``body`` and rewinds it; its size in bytes."""
    loop = asyncio.get_running_loop()
    body.write(request.body)
    size, memory = len(request.body), True
    if request.stream is not None:
        async for piece in request.stream:
            size += len(piece)
            memory = memory and size <= _IN_MEMORY_BYTES
            if memory:
                body.write(piece)
            else:
                await loop.run_in_executor(executor, body.write, piece)
    body.seek(0)
    return size


def _run(app: WsgiApp, environ: dict[str, Any], loop: asyncio.AbstractEventLoop, executor: Executor) -> Response:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [int(status.split(" ", 1)[0]), headers]
        return lambda data: pieces.append(data)

    pieces: list[bytes] = []
    answer = app(environ, start_response)
    iterator = iter(answer)
    size = 0
    for piece in iterator:
        pieces.append(piece)
        size += len(piece)
        if size > _IN_MEMORY_BYTES:
            break
    else:
        _close(answer)
        return Response(started[0], b"".join(pieces), _headers(started[1], streamed=False))
    rest = _pieces(pieces, iterator, answer, loop, executor)
    return Response(started[0], rest, _headers(started[1], streamed=True))


async def _pieces(
    first: list[bytes], rest: Iterator[bytes], answer: object, loop: asyncio.AbstractEventLoop, executor: Executor
) -> AsyncIterator[bytes]:
    try:
        for piece in first:
            yield piece
        while True:
            following = await loop.run_in_executor(executor, next, rest, None)
            if following is None:
                return
            yield following
    finally:
        _close(answer)


def _close(answer: object) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()


def _headers(headers: list[tuple[str, str]], *, streamed: bool) -> list[tuple[str, str]]:
    """The application's headers, without those that are the server's own business."""
    dropped = {"connection", "transfer-encoding", "server", "date"} | (set() if streamed else {"content-length"})
    return [(name, value) for name, value in headers if name.lower() not in dropped]
