"""Content types: what a header says, and what may have been meant."""

from __future__ import annotations

import zlib
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from penstock.ground.errors import InvalidInput, TooLarge, UnsupportedMedia
from penstock.serving.http.types import Headers

WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Media(StrEnum):
    """The formats that are read here."""

    JSON = "application/json"
    NUMPY_SPLIT = "application/json-numpy-split"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"
    ARROW_STREAM = "application/vnd.apache.arrow.stream"
    ARROW_FILE = "application/vnd.apache.arrow.file"
    NPY = "application/x-npy"


_ALIASES = {
    "application/x-parquet": Media.PARQUET,
    "application/parquet": Media.PARQUET,
    "application/octet-stream+parquet": Media.PARQUET,
    "application/csv": Media.CSV,
    "application/npy": Media.NPY,
}
_WILD = {"*/*", "application/*"}


class ContentType(Struct, frozen=True):
    """A body's format and the parameters beside it, with lower-case names."""

    media: Media
    parameters: dict[str, str]


def content_type_of(headers: Headers) -> ContentType:
    """The body's format; JSON when the header is absent. Raises UnsupportedMedia naming what is read here."""
    value = headers.raw.get(b"content-type")
    return _JSON if value is None else _parsed(value)


_JSON = ContentType(Media.JSON, {})


@lru_cache(maxsize=256)
def _parsed(value: bytes) -> ContentType:
    name, *rest = value.decode("latin-1").split(";")
    parameters = dict(_parameter(each) for each in rest if each.strip())
    media = _media(name.strip().lower())
    if media is None:
        raise UnsupportedMedia(
            f"A body of type {name.strip()!r} is not read here.", fix=f"Send one of {', '.join(Media)}."
        )
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"The charset {charset!r} is not read here.", fix="Send UTF-8.")
    return ContentType(media, parameters)


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _media(name: str) -> Media | None:
    try:
        return _ALIASES.get(name) or Media(name)
    except ValueError:
        return None


def accepted(headers: Headers, offered: tuple[Media, ...]) -> Media | None:
    """The format the caller asks for among ``offered``, the most wanted first; None when it leaves it to us."""
    value = headers.raw.get(b"accept")
    return None if value is None else _accepted(value, offered)


@lru_cache(maxsize=256)
def _accepted(value: bytes, offered: tuple[Media, ...]) -> Media | None:
    wanted: list[tuple[float, Media | None]] = []
    for part in value.decode("latin-1").split(","):
        name, *rest = part.split(";")
        quality = dict(_parameter(each) for each in rest).get("q", "1")
        name = name.strip().lower()
        media = None if name in _WILD else _media(name)
        if name in _WILD or media in offered:
            wanted.append((_quality(quality), media))
    wanted.sort(key=lambda pair: -pair[0])
    return wanted[0][1] if wanted and wanted[0][0] > 0 else None


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def plain_body(body: bytes, headers: Headers, *, max_bytes: int) -> bytes:
    """The body without its Content-Encoding. Raises TooLarge as soon as it would grow past ``max_bytes``.

    Raises UnsupportedMedia for other encodings than gzip and deflate, InvalidInput for broken data.
    """
    encoding = headers.raw.get(b"content-encoding")
    if encoding is None or encoding == b"identity":
        return body
    name = encoding.decode("latin-1").lower()
    if name not in WINDOW:
        raise UnsupportedMedia(f"The content encoding {name!r} is not read here.", fix="Send gzip, or plain.")
    inflater = zlib.decompressobj(WINDOW[name])
    try:
        plain = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise InvalidInput(f"The body is not valid {name}: {error}.", fix="Send it again.") from None
    if len(plain) > max_bytes:
        raise TooLarge(f"The unpacked body is over the limit of {max_bytes} bytes.", fix="Send less at a time.")
    if not inflater.eof:
        raise InvalidInput(f"The {name} body is cut short.", fix="Send all of it.")
    return plain
