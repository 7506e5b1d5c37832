"""Reads a tar that may be hostile, in one pass and in constant memory: ustar, PAX and GNU long names.

Sources: POSIX.1-2001 (ustar, pax), the GNU tar manual ("Basic Tar Format").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from penstock.ground.errors import IntegrityError, NotImplementedHere
from penstock.oci.tar import RECORD_BYTES

CHUNK_BYTES = 1 << 20
MAX_EXTENSION_BYTES = 1 << 20
_PAX_LOCAL, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"


class Readable(Protocol):
    """Where the tar's bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class Member(Struct, frozen=True):
    """One entry. ``kind`` is the type flag of its header; ``mtime`` is in seconds since the Unix epoch."""

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime: int
    link: str


class TarReader:
    """Iterates over a tar's members; between two of them ``chunks`` gives the content of the one just given."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Raises IntegrityError when this is no whole tar."""
        extensions: dict[str, str] = {}
        while (block := self._next_block()) is not None:
            kind = block[156:157]
            size_bytes = _number(block[124:136])
            if kind == _PAX_LOCAL:
                extensions.update(_pax(self._extension(size_bytes)))
            elif kind == _PAX_GLOBAL:
                self._extension(size_bytes)
            elif kind in (_GNU_NAME, _GNU_LINK):
                text = _text(self._extension(size_bytes))
                extensions["path" if kind == _GNU_NAME else "linkpath"] = text
            else:
                member = _member(block, extensions)
                extensions = {}
                self._expect(member.size_bytes if kind in b"07\0" else 0)
                yield member
                for _ in self.chunks():
                    pass

    def chunks(self) -> Iterator[bytes]:
        """The content, or what is left of it, of the member just given."""
        while self._left:
            yield self._take(min(self._left, CHUNK_BYTES))
        padding, self._padding = self._padding, 0
        if padding:
            self._exactly(padding)

    def _expect(self, size_bytes: int) -> None:
        self._left = size_bytes
        self._padding = -size_bytes % RECORD_BYTES

    def _take(self, size_bytes: int) -> bytes:
        chunk = self._source.read(size_bytes)
        if not chunk:
            raise _broken("it ends in the middle of an entry")
        self._left -= len(chunk)
        return chunk

    def _exactly(self, size_bytes: int) -> bytes:
        content = b""
        while len(content) < size_bytes:
            piece = self._source.read(size_bytes - len(content))
            if not piece:
                raise _broken("it ends too early")
            content += piece
        return content

    def _next_block(self) -> bytes | None:
        """The next header, or None at the end: a block of zeros, or nothing at all."""
        first = self._source.read(1)
        if not first:
            return None
        block = first + self._exactly(RECORD_BYTES - 1)
        if not block.strip(b"\0"):
            return None
        checked = sum(block) - sum(block[148:156]) + 8 * 0x20
        if checked != _number(block[148:156]):
            raise _broken("a header's checksum is wrong")
        return block

    def _extension(self, size_bytes: int) -> bytes:
        if size_bytes > MAX_EXTENSION_BYTES:
            raise _broken(f"an extended header of {size_bytes} bytes is too large to be honest")
        self._expect(size_bytes)
        return b"".join(self.chunks())


def _member(block: bytes, extensions: dict[str, str]) -> Member:
    kind = block[156:157]
    if kind == _GNU_SPARSE or any(key.startswith("GNU.sparse") for key in extensions):
        raise NotImplementedHere("The layer holds a sparse file.", fix="Rebuild the image without sparse files.")
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    name = _text(block[0:100])
    return Member(
        name=extensions.get("path", f"{prefix}/{name}" if prefix else name),
        kind=kind,
        mode=_number(block[100:108]),
        uid=_integer(extensions.get("uid"), block[108:116]),
        gid=_integer(extensions.get("gid"), block[116:124]),
        size_bytes=_integer(extensions.get("size"), block[124:136]),
        mtime=_integer(extensions.get("mtime"), block[136:148]),
        link=extensions.get("linkpath", _text(block[157:257])),
    )


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 when the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        return 0 if field[0] & 0x40 else value
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise _broken("a header holds a number that is none") from None


def _integer(extended: str | None, field: bytes) -> int:
    if extended is None:
        return _number(field)
    try:
        return max(0, int(extended) if extended.isdecimal() else int(float(extended)))
    except (ValueError, OverflowError):
        raise _broken("an extended header holds a number that is none") from None


def _pax(content: bytes) -> dict[str, str]:
    """The records ``<length> <key>=<value>\\n``."""
    records: dict[str, str] = {}
    while content:
        digits, space, _ = content.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 7 or not len(digits) < int(digits) <= len(content):
            raise _broken("an extended header is malformed")
        record, content = content[len(digits) + 1 : int(digits) - 1], content[int(digits) :]
        key, _, value = record.partition(b"=")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return records


def _broken(why: str) -> IntegrityError:
    return IntegrityError(f"The layer is not a sound tar: {why}.", fix="Pull or build the image again.")
