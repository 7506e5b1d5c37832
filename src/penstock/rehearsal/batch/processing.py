"""DataProcessing of a transform job: what of each record is sent, what of each answer kept, and how they are joined.

The JSONPath that is understood: ``$``, names (``$.a.b``, ``$['a']``), indexes (``$[0]``, ``$[-1]``) and slices
(``$[1:]``, ``$[:-1]``); on CSV, ``$`` is the list of columns. Source: facts 1.6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.ground.errors import InvalidInput

_STEP = re.compile(r"\.(?P<name>\w+)|\[(?:'(?P<quoted>[^']+)'|(?P<start>-?\d*)(?P<colon>:)?(?P<end>-?\d*))\]")
_Step = str | int | slice


def parse_path(text: str) -> tuple[_Step, ...]:
    """The steps of a JSONPath. Raises InvalidInput. ``parse_path("$.a[1:]")`` is ``("a", slice(1, None))``."""
    if not text.startswith("$"):
        raise InvalidInput(f"The filter {text!r} does not begin with '$'.")
    steps: list[_Step] = []
    offset = 1
    while offset < len(text):
        match = _STEP.match(text, offset)
        if match is None or match[0] == "[]":
            raise InvalidInput(f"The filter {text!r} is not understood from {text[offset:]!r} on.")
        steps.append(_step(match))
        offset = match.end()
    return tuple(steps)


def select(value: Any, path: str) -> Any:
    """What the path finds in a decoded record. Raises InvalidInput when there is nothing there."""
    for step in parse_path(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            raise InvalidInput(f"The filter {path!r} finds nothing in a record.") from None
    return value


def filtered(record: bytes, path: str, content_type: str) -> bytes:
    """The record with only what the filter selects, in its own format."""
    if path == "$":
        return record
    return encode(select(decode(record, content_type), path), content_type)


def joined(record: bytes, answer: bytes, content_type: str) -> bytes:
    """The record and its answer as one: CSV columns appended; an object gains the member SageMakerOutput."""
    if is_csv(content_type):
        return record.rstrip(b"\n") + b"," + answer.rstrip(b"\n")
    given, output = decode(record, content_type), decode(answer, "application/json")
    if isinstance(given, dict):
        return msgspec.json.encode({**given, "SageMakerOutput": output})
    return msgspec.json.encode({"SageMakerInput": given, "SageMakerOutput": output})


def answers_of(answer: bytes, count: int) -> list[bytes]:
    """One answer of a batch as ``count`` answers, a line a record. Raises InvalidInput if they are not as many."""
    lines = [line for line in answer.splitlines() if line]
    if count == 1:
        return [answer]
    if len(lines) != count:
        raise InvalidInput(f"The model answered {len(lines)} lines to {count} records, so they cannot be joined.")
    return lines


def decode(record: bytes, content_type: str) -> Any:
    if is_csv(content_type):
        return record.decode("utf-8").rstrip("\n").split(",")
    try:
        return msgspec.json.decode(record)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"A record is not JSON: {error}.") from error


def encode(value: Any, content_type: str) -> bytes:
    if is_csv(content_type):
        values: Sequence[Any] = value if isinstance(value, list) else [value]
        return ",".join(map(str, values)).encode()
    return msgspec.json.encode(value)


def is_csv(content_type: str) -> bool:
    return content_type.partition(";")[0].strip() == "text/csv"


def _step(match: re.Match[str]) -> _Step:
    name = match["name"] or match["quoted"]
    if name:
        return name
    if match["colon"]:
        return slice(int(match["start"]) if match["start"] else None, int(match["end"]) if match["end"] else None)
    return int(match["start"])
