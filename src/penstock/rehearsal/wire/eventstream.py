"""The frames of application/vnd.amazon.eventstream, as InvokeEndpointWithResponseStream answers.

A frame: 4-byte total length, 4-byte header length, CRC-32 of those eight; headers (1-byte name length, name, type 7,
2-byte value length, value); payload; CRC-32 of everything before it.
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def payload_part(content: bytes) -> bytes:
    """The frame of one piece of a streamed answer."""
    return _frame(
        {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}, content
    )


def exception(kind: str, members: dict[str, str]) -> bytes:
    """The frame of an error in mid-stream; ``kind`` is ModelStreamError or InternalStreamFailure."""
    headers = {":message-type": "exception", ":exception-type": kind, ":content-type": "application/json"}
    return _frame(headers, msgspec.json.encode(members))


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack("!I", crc32(prelude)) + block + payload
    return body + struct.pack("!I", crc32(body))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(text)) + text
