"""How layers are compressed: isal when it is there (15 times cheaper than zlib 6 for 17% more bytes), else zlib.

The output of isal depends on the size of the pieces it is fed, so all are fed blocks of exactly 1 MiB. It may also
differ between versions: equal digests are promised per compressor ``id``, equal diff_ids always.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

from msgspec import Struct

try:  # an optional accelerator: its wheels exist for x86-64 and arm64 only
    import isal
    from isal import igzip, isal_zlib
except ImportError:
    HAS_ISAL = False
else:
    HAS_ISAL = True

BLOCK_BYTES = 1 << 20
_GZIP_WINDOW = 31  # a 32 KiB window in a gzip container whose time is 0


class Stream(Protocol):
    """One gzip stream being made."""

    def compress(self, block: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Compressor(Struct, frozen=True):
    """A way to compress; equal ids give equal bytes."""

    id: str
    start: Callable[[], Stream]


ZLIB = Compressor(f"zlib-{zlib.ZLIB_RUNTIME_VERSION}-1", lambda: zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW))


def _isal() -> Compressor:
    return Compressor(
        f"isal-{isal.__version__}-{isal.ISAL_VERSION}-1",
        lambda: cast(Stream, isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW)),
    )


BEST: Compressor = _isal() if HAS_ISAL else ZLIB


DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    *((isal_zlib.error,) if HAS_ISAL else ()),
)


def decompressed(stream: BinaryIO) -> BinaryIO:
    """What was compressed into the gzip ``stream``, read as it is asked for; a damaged stream raises one of DAMAGE."""
    reader: Callable[..., object] = igzip.IGzipFile if HAS_ISAL else gzip.GzipFile
    return cast(BinaryIO, reader(fileobj=stream, mode="rb"))
