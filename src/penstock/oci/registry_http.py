"""What the registry reads from a WSGI environment and what it answers: requests, answers, refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from penstock.ground.errors import InvalidInput

CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?")


class Refusal(Exception):
    """An error of the distribution specification: its code, its HTTP status, extra headers."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> Answer:
        body = msgspec.json.encode({"errors": [{"code": self.code, "message": self.message, "detail": None}]})
        return Answer(self.status, {"Content-Type": "application/json", **self.headers}, body)


class Answer(Struct):
    """A response: its body is bytes, or an iterable of bytes whose length the headers tell."""

    status: int
    headers: dict[str, str] = {}
    body: bytes | Iterable[bytes] = b""


class Request:
    """One request, its body read as it is asked for."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        self.query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        length = environ.get("CONTENT_LENGTH") or ""
        self.content_length = int(length) if length.isdecimal() else None

    def header(self, name: str) -> str:
        return str(self.environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))

    @property
    def content_type(self) -> str:
        return str(self.environ.get("CONTENT_TYPE", ""))

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces. Raises Refusal when the client stopped before its announced end."""
        source = cast(BinaryIO, self.environ["wsgi.input"])
        if self.content_length is None:
            if self.environ.get("wsgi.input_terminated"):
                yield from iter(lambda: source.read(CHUNK_BYTES), b"")
            return
        left = self.content_length
        while left:
            chunk = source.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise Refusal(400, "SIZE_INVALID", f"The body ended {left} bytes before its Content-Length.")
            left -= len(chunk)
            yield chunk

    def body(self, *, limit_bytes: int) -> bytes:
        """The whole body. Raises Refusal when it is over the limit."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit_bytes:
                raise Refusal(413, "SIZE_INVALID", f"A manifest may have {limit_bytes} bytes.")
        return bytes(body)

    def content_range(self) -> tuple[int, int] | None:
        """The first and last offset that the client says its chunk has."""
        text = self.header("Content-Range")
        if not text:
            return None
        found = _CONTENT_RANGE.fullmatch(text)
        if found is None:
            raise Refusal(416, "BLOB_UPLOAD_INVALID", f"The Content-Range {text!r} is not '<start>-<end>'.")
        return int(found[1]), int(found[2])


def file_answer(path: Path, headers: dict[str, str], request: Request) -> Answer:
    """The file, or the one range of it that was asked for (RFC 9110, section 14)."""
    size_bytes = path.stat().st_size
    headers = {"Accept-Ranges": "bytes", **headers}
    wanted = _RANGE.fullmatch(request.header("Range"))
    if wanted is None or not (wanted[1] or wanted[2]):
        return Answer(200, {**headers, "Content-Length": str(size_bytes)}, _read(path, 0, size_bytes))
    start = int(wanted[1]) if wanted[1] else max(0, size_bytes - int(wanted[2]))
    end = min(int(wanted[2]), size_bytes - 1) if wanted[1] and wanted[2] else size_bytes - 1
    if start > end:
        raise Refusal(416, "BLOB_UNKNOWN", "The blob has no such range.", Content_Range=f"bytes */{size_bytes}")
    ranged = {**headers, "Content-Length": str(end - start + 1), "Content-Range": f"bytes {start}-{end}/{size_bytes}"}
    return Answer(206, ranged, _read(path, start, end - start + 1))


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def page_size(request: Request) -> int | None:
    """The most entries that a list should hold; None when the client did not say."""
    text = request.query.get("n")
    if text is None:
        return None
    if not text.isdecimal():
        raise InvalidInput(f"n={text!r} is not a number of entries.")
    return int(text)


def _read(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length and (chunk := file.read(min(length, CHUNK_BYTES))):
            length -= len(chunk)
            yield chunk
