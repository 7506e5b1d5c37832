"""Tar headers that depend on nothing but what they say: POSIX ustar, with a PAX header only where ustar is too small.

The standard library's writer differs in small ways between Python versions; a diff_id must not.
Source: POSIX.1-2001, pax Interchange Format.
"""

from __future__ import annotations

FILE = b"0"
HARDLINK = b"1"
SYMLINK = b"2"
DIRECTORY = b"5"
_PAX = b"x"
RECORD_BYTES = 512
END = bytes(2 * RECORD_BYTES)
_MAX_OCTAL_SIZE = 8**11 - 1


def header(name: str, *, kind: bytes, mode: int, size_bytes: int = 0, mtime: int = 0, link: str = "") -> bytes:
    """The header blocks of one entry, owned by 0:0 with empty owner names."""
    prefix, short = _split(name)
    records = {}
    if short is None or not name.isascii():
        records["path"] = name
        prefix, short = "", _fitted(name)
    if not link.isascii() or len(link) > 100:
        records["linkpath"] = link
    if size_bytes > _MAX_OCTAL_SIZE:
        records["size"] = str(size_bytes)
    extended = _pax(records) if records else b""
    listed_size = 0 if "size" in records else size_bytes
    return extended + _ustar(short, kind, mode & 0o7777, listed_size, mtime, _fitted(link), prefix)


def padding(size_bytes: int) -> bytes:
    """The zeros that fill an entry's last record."""
    return bytes(-size_bytes % RECORD_BYTES)


def _split(name: str) -> tuple[str, str | None]:
    """``name`` as ustar's prefix (<= 155) and name (<= 100), or None where it does not fit."""
    if len(name) <= 100:
        return "", name
    cut = name.find("/", max(0, len(name) - 101), 156)
    while cut != -1 and cut + 1 == len(name):
        cut = -1
    return (name[:cut], name[cut + 1 :]) if cut > 0 and len(name) - cut - 1 <= 100 else ("", None)


def _fitted(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")[:100]


def _pax(records: dict[str, str]) -> bytes:
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    return _ustar("././@PaxHeader", _PAX, 0o644, len(body), 0, "", "") + body + padding(len(body))


def _record(key: str, value: str) -> bytes:
    """``<length> <key>=<value>\\n``, where the length counts its own digits."""
    tail = f" {key}={value}\n".encode("utf-8", "surrogateescape")
    length = len(tail) + len(str(len(tail)))
    length = len(tail) + len(str(length))
    return str(length).encode() + tail


def _ustar(name: str, kind: bytes, mode: int, size_bytes: int, mtime: int, link: str, prefix: str) -> bytes:
    block = bytearray(RECORD_BYTES)
    block[0:100] = name.encode("ascii").ljust(100, b"\0")
    block[100:148] = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size_bytes, mtime)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link.encode("ascii").ljust(100, b"\0")
    block[257:265] = b"ustar\00000"
    block[329:345] = b"%07o\0%07o\0" % (0, 0)
    block[345:500] = prefix.encode("ascii").ljust(155, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
