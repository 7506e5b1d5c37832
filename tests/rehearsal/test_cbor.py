"""CBOR against botocore's own reader and writer, and against bytes that are none."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from botocore.model import DenormalizedStructureBuilder
from botocore.parsers import BaseCBORParser

from penstock.rehearsal.wire import cbor

VALUES: tuple[Any, ...] = (
    0, 23, 24, 255, 256, 65_536, 2**32, 2**63, -1, -24, -25, -(2**40), True, False, None, "", "a", "ü" * 300, b"",
    b"\x00" * 70_000, 1.5, -0.0, [], [1, [2, "x"]], {}, {"a": {"b": [None, False]}}, {"k" * 30: list(range(30))},
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_what_is_written_is_read_back_and_botocore_reads_it_too(value: Any) -> None:
    content = cbor.encode(value, None)
    assert cbor.decode(content) == value
    parser = BaseCBORParser()
    assert parser.parse_data_item(parser.get_peekable_stream_from_bytes(content)) == value


def test_shapes_tell_moments_and_numbers_that_are_not_whole() -> None:
    shape = DenormalizedStructureBuilder().with_members({
        "When": {"type": "timestamp"}, "Much": {"type": "double"}, "Many": {"type": "integer"},
    }).build_model()  # fmt: skip
    written = cbor.encode({"When": "1970-01-01T00:01:00Z", "Much": 2, "Many": 2}, shape)
    assert b"\xc1\xfb" + struct.pack("!d", 60.0) in written
    assert cbor.decode(written) == {"When": 60.0, "Much": 2.0, "Many": 2}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\x9f\x01\x02\xff", [1, 2]), (b"\xbf\x61a\x01\xff", {"a": 1}), (b"\x7f\x61a\x61b\xff", "ab"),
        (b"\xc1\x1a\x00\x00\x00\x3c", 60), (b"\xf9\x3c\x00", 1.0),
    ],
)  # fmt: skip
def test_open_ended_and_short_forms_are_read(content: bytes, value: Any) -> None:
    assert cbor.decode(content) == value


def test_bytes_that_are_no_item_are_refused_and_never_hang() -> None:
    dice = random.Random(1)
    for wrong in (b"", b"\xff", b"\x9f", b"\x81" * 10_000, b"\x1b", b"\xa1\x01\x01", b"\x00\x00", b"\x7f\x01"):
        with pytest.raises(ValueError):
            cbor.decode(wrong)
    for _ in range(2000):
        content = dice.randbytes(dice.randrange(1, 30))
        try:
            cbor.decode(content)
        except ValueError:
            continue
