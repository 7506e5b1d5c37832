"""What every List* operation shares: filters, order, pages and tokens."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.exceptions import AwsError, invalid

_DEFAULT_PAGE = 10
Item = TypeVar("Item")


def list_page(
    records: Sequence[Recorded],
    parameters: dict[str, Any],
    *,
    row: Callable[[Any], dict[str, Any]],
    answer: str,
    modified_ms: Callable[[Any], int] | None = None,
    status: Callable[[Any], str] | None = None,
) -> dict[str, Any]:
    """The answer of a List* operation: the page of ``records`` that ``parameters`` ask for, newest first by default."""
    chosen = [record for record in records if _wanted(record, parameters, modified_ms, status)]
    chosen.sort(key=_sort_key(parameters, status), reverse=_descending(parameters))
    page, token = page_of(chosen, parameters)
    return {answer: [row(record) for record in page], "NextToken": token}


def page_of(
    items: Sequence[Item], parameters: dict[str, Any], *, size: int = _DEFAULT_PAGE, error: str = "ValidationException"
) -> tuple[Sequence[Item], str | None]:
    """The page that MaxResults and NextToken ask for, and the token of the next; ``error`` is a bad token's code."""
    start = _offset(parameters.get("NextToken"), error)
    size = max(1, parameters.get("MaxResults", size))
    token = _token(start + size) if start + size < len(items) else None
    return items[start : start + size], token


def seconds_of(moment: float | str) -> float:
    """A timestamp of the wire as epoch seconds, e.g. "1970-01-01T00:00:01Z" is 1.0. Raises AwsError."""
    if not isinstance(moment, str):
        return float(moment)
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError as error:
        raise invalid(f"{moment!r} is not a timestamp.") from error


def _wanted(
    record: Recorded,
    parameters: dict[str, Any],
    modified_ms: Callable[[Any], int] | None,
    status: Callable[[Any], str] | None,
) -> bool:
    if parameters.get("NameContains", "").lower() not in record.name.lower():
        return False
    if status and parameters.get("StatusEquals") not in (None, status(record)):
        return False
    if not _within(record.created_ms, parameters, "CreationTime"):
        return False
    return modified_ms is None or _within(modified_ms(record), parameters, "LastModifiedTime")


def _within(moment_ms: int, parameters: dict[str, Any], prefix: str) -> bool:
    before, after = parameters.get(f"{prefix}Before"), parameters.get(f"{prefix}After")
    seconds = moment_ms / 1000
    return (before is None or seconds < seconds_of(before)) and (after is None or seconds > seconds_of(after))


def _sort_key(parameters: dict[str, Any], status: Callable[[Any], str] | None) -> Callable[[Recorded], Any]:
    by = parameters.get("SortBy", "CreationTime")
    if by == "Name":
        return lambda record: record.name
    if by == "Status" and status:
        return lambda record: (status(record), record.name)
    return lambda record: (record.created_ms, record.name)


def _descending(parameters: dict[str, Any]) -> bool:
    order = str(parameters.get("SortOrder", "Descending"))
    return order.startswith("Desc")


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode({"offset": offset})).decode()


def _offset(token: str | None, code: str) -> int:
    if token is None:
        return 0
    try:
        offset = msgspec.json.decode(base64.urlsafe_b64decode(token.encode()))["offset"]
    except (binascii.Error, msgspec.DecodeError, UnicodeError, KeyError, TypeError):
        offset = None
    if not isinstance(offset, int) or offset < 0:
        raise AwsError(code, "The NextToken is not one that this operation gave out.")
    return offset
