"""The pure part of batch transform."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock.ground.errors import InvalidInput
from penstock.rehearsal.batch.processing import answers_of, filtered, joined, parse_path, select
from penstock.rehearsal.batch.records import assembled, batches, payload, split_records


@given(some.lists(some.binary(min_size=1, max_size=20), max_size=30), some.integers(30, 100))
def test_no_record_is_lost_doubled_or_moved_by_batching(records: list[bytes], most: int) -> None:
    grouped = list(batches(records, strategy="MultiRecord", max_bytes=most, separator=b"\n"))
    assert [record for batch in grouped for record in batch] == records
    assert all(sum(len(record) + 1 for record in batch) <= most for batch in grouped)


def test_single_records_go_alone_and_one_too_large_is_refused() -> None:
    assert list(batches([b"a", b"b"], strategy="SingleRecord", max_bytes=0, separator=b"")) == [[b"a"], [b"b"]]
    with pytest.raises(InvalidInput, match="over MaxPayloadInMB"):
        list(batches([b"abc"], strategy="MultiRecord", max_bytes=2, separator=b""))


def test_lines_and_frames_are_records() -> None:
    assert split_records(b"a\nb\r\n\nc", "Line") == [b"a", b"b", b"c"]
    assert split_records(b"a\nb", "None") == [b"a\nb"]
    frame = struct.pack("<II", 0xCED7230A, 5) + b"hello\0\0\0"
    assert split_records(frame * 2, "RecordIO") == [frame, frame]
    record = struct.pack("<Q", 3) + b"crc1" + b"abc" + b"crc2"
    assert split_records(record * 2, "TFRecord") == [record, record]
    for broken in ("RecordIO", "TFRecord"):
        with pytest.raises(InvalidInput):
            split_records(b"neither", broken)
    assert payload([b"a", b"b"], "Line") == b"a\nb\n"
    assert assembled([b"1\n", b"2"], "Line") == b"1\n2\n"


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("$", {"a": 1}, {"a": 1}),
        ("$.a.b", {"a": {"b": 2}}, 2),
        ("$['a'][0]", {"a": [3, 4]}, 3),
        ("$[1:]", ["id", "x", "y"], ["x", "y"]),
        ("$[-1]", ["id", "x"], "x"),
        ("$[:-1]", [1, 2, 3], [1, 2]),
    ],
)
def test_paths_select(path: str, value: Any, found: Any) -> None:
    assert select(value, path) == found


@pytest.mark.parametrize("path", ["a", "$.", "$[", "$[]", "$..a", "$[x]"])
def test_paths_that_are_not_understood_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        parse_path(path)


def test_filters_and_joins_keep_the_format() -> None:
    assert filtered(b"7,1.5,2.5", "$[1:]", "text/csv") == b"1.5,2.5"
    assert filtered(b'{"id": 7, "x": [1]}', "$.x", "application/json") == b"[1]"
    assert joined(b"7,1.5\n", b"0.9\n", "text/csv") == b"7,1.5,0.9"
    whole = json.loads(joined(b'{"id": 7}', b"0.9", "application/json"))
    assert whole == {"id": 7, "SageMakerOutput": 0.9}
    assert json.loads(joined(b"[1]", b"2", "application/json")) == {"SageMakerInput": [1], "SageMakerOutput": 2}
    with pytest.raises(InvalidInput, match="2 lines to 3 records"):
        answers_of(b"1\n2\n", 3)
