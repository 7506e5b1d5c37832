"""CBOR as Smithy's RPC v2 uses it: numbers, texts, bytes, lists, maps, and moments as tag 1. Source: RFC 8949."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

_SIZES = {24: (1, "!B"), 25: (2, "!H"), 26: (4, "!I"), 27: (8, "!Q")}
_FLOATS = {25: "!e", 26: "!f", 27: "!d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_INDEFINITE = 31
_BREAK = object()
_DEEPEST = 64


def encode(value: Any, shape: Shape | None) -> bytes:
    """A JSON value as CBOR; ``shape`` tells which numbers are moments and which are not whole."""
    kind = shape.type_name if shape is not None else ""
    if kind == "timestamp":
        return b"\xc1" + _double(_seconds(value))
    if isinstance(value, bool) or value is None:
        return {True: b"\xf5", False: b"\xf4", None: b"\xf6"}[value]
    if isinstance(value, float) or kind in ("double", "float"):
        return _double(float(value))
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        member = shape.member if isinstance(shape, ListShape) else None
        return _head(4, len(value)) + b"".join(encode(item, member) for item in value)
    pairs = (encode(key, None) + encode(item, _member(shape, key)) for key, item in value.items())
    return _head(5, len(value)) + b"".join(pairs)


def decode(content: bytes) -> Any:
    """The value of ``content``; moments are epoch seconds. Raises ValueError for what is not one whole item."""
    reader = _Reader(content)
    value = reader.item()
    if value is _BREAK or reader.left:
        raise ValueError("more than one item, or none")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0
        self._depth = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def item(self) -> Any:
        head = self._take(1)[0]
        major, info = head >> 5, head & 0x1F
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("too deep")
        try:
            return self._major(major, info)
        finally:
            self._depth -= 1

    def _major(self, major: int, info: int) -> Any:
        if major == 7:
            return self._simple(info)
        if major == 0:
            return self._number(info)
        if major == 1:
            return -1 - self._number(info)
        if major in (2, 3):
            content = self._text(info)
            return content if major == 2 else content.decode()
        if major == 4:
            return self._many(info, self._plain)
        if major == 5:
            return dict(self._many(info, self._pair))
        self._number(info)  # a tag: of a moment, whose number follows
        return self._plain()

    def _simple(self, info: int) -> Any:
        if info == _INDEFINITE:
            return _BREAK
        if info in _FLOATS:
            return struct.unpack(_FLOATS[info], self._take(_SIZES[info][0]))[0]
        if info not in _SIMPLE:
            raise ValueError("an unknown simple value")
        return _SIMPLE[info]

    def _text(self, info: int) -> bytes:
        if info != _INDEFINITE:
            return self._take(self._number(info))
        pieces = []
        while (piece := self.item()) is not _BREAK:
            if not isinstance(piece, str | bytes):
                raise ValueError("a piece that is no text")
            pieces.append(piece.encode() if isinstance(piece, str) else piece)
        return b"".join(pieces)

    def _many(self, info: int, one: Callable[[], Any]) -> list[Any]:
        if info != _INDEFINITE:
            return [one() for _ in range(self._number(info))]
        found = []
        while bytes(self._content[self._at : self._at + 1]) != b"\xff":
            found.append(one())
        self._take(1)
        return found

    def _pair(self) -> tuple[str, Any]:
        key = self._plain()
        if not isinstance(key, str):
            raise ValueError("a key that is no text")
        return key, self._plain()

    def _plain(self) -> Any:
        value = self.item()
        if value is _BREAK:
            raise ValueError("an end where an item is due")
        return value

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _SIZES:
            raise ValueError("an unknown length")
        size, form = _SIZES[info]
        return int(struct.unpack(form, self._take(size))[0])

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError("it ends too soon")
        self._at += size
        return bytes(self._content[self._at - size : self._at])


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    info, (_, form) = next((info, size) for info, size in _SIZES.items() if number < 1 << (8 * size[0]))
    return bytes([major << 5 | info]) + struct.pack(form, number)


def _double(value: float) -> bytes:
    return b"\xfb" + struct.pack("!d", value)


def _seconds(value: Any) -> float:
    """Epoch seconds of what JSON calls a moment: a number, or a text."""
    if not isinstance(value, str):
        return float(value)
    moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _member(shape: Shape | None, key: str) -> Shape | None:
    if isinstance(shape, StructureShape):
        found: Shape | None = shape.members.get(key)
        return found
    value: Shape | None = shape.value if isinstance(shape, MapShape) else None
    return value
