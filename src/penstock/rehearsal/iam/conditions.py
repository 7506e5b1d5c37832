"""The condition block of a policy statement held against the context of a request.

Source: IAM user guide, "IAM JSON policy elements: Condition operators". An operator that is not known never holds.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import translate
from functools import cache
from typing import Any

# Context keys in lower case, each with its values.
Context = Mapping[str, Sequence[str]]
_Test = Callable[[str, str], bool]


@cache
def pattern(text: str) -> re.Pattern[str]:
    """A policy's pattern: ``*`` is any text, ``?`` any one character, everything else itself."""
    return re.compile(translate(text.replace("[", "[[]")))


def like(given: str, wanted: str) -> bool:
    return pattern(wanted).match(given) is not None


def _address(given: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _compared(convert: Callable[[str], float], holds: Callable[[float, float], bool]) -> _Test:
    def test(given: str, wanted: str) -> bool:
        try:
            return holds(convert(given), convert(wanted))
        except ValueError:
            return False

    return test


def _date(text: str) -> float:
    if text.isdecimal():
        return float(text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}
_TESTS: dict[str, _Test] = {
    "StringEquals": lambda given, wanted: given == wanted,
    "StringEqualsIgnoreCase": lambda given, wanted: given.lower() == wanted.lower(),
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "BinaryEquals": lambda given, wanted: given == wanted,
    "Bool": lambda given, wanted: given.lower() == wanted.lower(),
    "IpAddress": _address,
    **{f"Numeric{name}": _compared(float, order) for name, order in _ORDERS.items()},
    **{f"Date{name}": _compared(_date, order) for name, order in _ORDERS.items()},
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


def holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every operator of a condition block holds for every one of its keys."""
    return all(
        _operator_holds(operator, context.get(key.lower()), as_texts(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def missing_keys(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> Iterator[str]:
    """The context keys that the block asks for and nobody told."""
    for operator, keys in conditions.items():
        if not operator.endswith("IfExists") and operator != "Null":
            yield from (key for key in keys if key.lower() not in context)


def as_texts(value: Any) -> list[str]:
    """A policy's value or list of values as texts; true is "true"."""
    items = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in items]


def _operator_holds(operator: str, given: Sequence[str] | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return (given is None) == (wanted[0].lower() == "true")
    quantifier, _, name = operator.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in _NEGATED
    test = _TESTS.get(_NEGATED.get(name, name))
    if test is None:
        return False
    if given is None:
        return optional or negated or quantifier == "ForAllValues"
    fits = [any(test(each, text) for text in wanted) != negated for each in given]
    return any(fits) if quantifier == "ForAnyValue" else all(fits)
