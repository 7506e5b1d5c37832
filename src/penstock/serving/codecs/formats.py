"""The binary formats and the files that read and write them; a file with a library of its own is imported when used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from penstock.ground.errors import UnsupportedMedia
from penstock.models.load import LoadedModel
from penstock.serving.codecs.media import Media
from penstock.serving.http.types import Response
from penstock.serving.payload import Payload

Decoder = Callable[[bytes, LoadedModel, int], Payload]
Encoder = Callable[[Any], Response]

_HERE = "penstock.serving.codecs"
_DECODERS = {
    Media.PARQUET: (f"{_HERE}.arrow_table", "decode_parquet"),
    Media.ARROW_STREAM: (f"{_HERE}.arrow_table", "decode_stream"),
    Media.ARROW_FILE: (f"{_HERE}.arrow_table", "decode_file"),
    Media.NPY: (f"{_HERE}.npy_array", "decode_npy"),
}
_ENCODERS = {
    Media.PARQUET: (f"{_HERE}.arrow_table", "parquet_answer"),
    Media.ARROW_STREAM: (f"{_HERE}.arrow_table", "stream_answer"),
    Media.ARROW_FILE: (f"{_HERE}.arrow_table", "file_answer"),
    Media.NPY: (f"{_HERE}.npy_array", "npy_answer"),
}
LATE = frozenset({f"{_HERE}.arrow_table"})
"""The files that import a library beyond the serving closure."""

OFFERED = (Media.JSON, Media.CSV, *_ENCODERS)


def decoder_of(media: Media) -> Decoder:
    """What makes a payload of a body. Raises UnsupportedMedia when its library is not installed."""
    found: Decoder = _find(*_DECODERS[media])
    return found


def encoder_of(media: Media) -> Encoder:
    """What makes a response of predictions. Raises UnsupportedMedia when its library is not installed."""
    found: Encoder = _find(*_ENCODERS[media])
    return found


@cache
def _find(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise UnsupportedMedia(
            f"This format needs {error.name!r}, which is not installed.",
            fix="Send JSON or CSV, or add it to the image.",
        ) from error
