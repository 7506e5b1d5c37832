"""Inputs cut into records and batches, answers put together again; all pure. Source: facts 1.6."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from penstock.ground.errors import InvalidInput

_RECORDIO_MAGIC = 0xCED7230A
_CRC_BYTES = 4


def split_records(content: bytes, split_type: str) -> list[bytes]:
    """The records of an input: the whole of it, its lines, or its RecordIO or TFRecord frames. Raises InvalidInput."""
    if split_type == "Line":
        return [line for line in content.splitlines() if line]
    if split_type == "RecordIO":
        return list(_recordio(content))
    if split_type == "TFRecord":
        return list(_tfrecord(content))
    return [content]


def batches(records: Sequence[bytes], *, strategy: str, max_bytes: int, separator: bytes) -> Iterator[list[bytes]]:
    """Records grouped into requests of at most ``max_bytes`` (0: any size). Raises InvalidInput."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if max_bytes and len(record) > max_bytes:
            raise InvalidInput(
                f"A record of {len(record)} bytes is over MaxPayloadInMB.", fix="Raise it, or split more."
            )
        cost = len(record) + len(separator)
        if batch and (strategy == "SingleRecord" or (max_bytes and size + cost > max_bytes)):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += cost
    if batch:
        yield batch


def payload(batch: Sequence[bytes], split_type: str) -> bytes:
    """The body of a request for a batch: lines end with a newline, frames and whole inputs are as they came."""
    return b"".join(record + b"\n" for record in batch) if split_type == "Line" else b"".join(batch)


def assembled(answers: Sequence[bytes], assemble_with: str) -> bytes:
    """The output object of one input object."""
    if assemble_with == "Line":
        return b"".join(answer if answer.endswith(b"\n") else answer + b"\n" for answer in answers)
    return b"".join(answers)


def _recordio(content: bytes) -> Iterator[bytes]:
    """Frames with their headers: 4-byte magic, 4-byte length, data padded to four bytes (little-endian)."""
    offset = 0
    while offset < len(content):
        head = content[offset : offset + 8]
        if len(head) < 8 or struct.unpack("<I", head[:4])[0] != _RECORDIO_MAGIC:
            raise InvalidInput("The input is not RecordIO.", fix="Choose another SplitType.")
        size = 8 + (struct.unpack("<I", head[4:])[0] & 0x1FFFFFFF)
        size += -size % 4
        yield content[offset : offset + size]
        offset += size


def _tfrecord(content: bytes) -> Iterator[bytes]:
    """Frames with their headers: 8-byte length, its CRC, data, the data's CRC (little-endian)."""
    offset = 0
    while offset < len(content):
        head = content[offset : offset + 8]
        if len(head) < 8:
            raise InvalidInput("The input is not TFRecord.", fix="Choose another SplitType.")
        size = 8 + _CRC_BYTES + int(struct.unpack("<Q", head)[0]) + _CRC_BYTES
        if offset + size > len(content):
            raise InvalidInput("The input's last TFRecord is cut off.", fix="Write the file again.")
        yield content[offset : offset + size]
        offset += size
