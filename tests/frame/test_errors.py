"""The error tree: every class is drawn, documented and numbered once."""

from __future__ import annotations

import inspect

import pytest

from penstock.ground import errors
from penstock.ground.errors import InvalidInput, NotFound, PenstockError

CLASSES = [
    each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, PenstockError)
]  # fmt: skip


@pytest.mark.parametrize("each", CLASSES, ids=lambda each: each.__name__)
def test_every_error_is_drawn_and_documented(each: type[PenstockError]) -> None:
    assert each.__name__ in (errors.__doc__ or "")
    assert each.__doc__
    assert str(each()) == each.__doc__.strip().splitlines()[0]


def test_codes_are_unique() -> None:
    codes = [each.code for each in CLASSES]
    assert len(codes) == len(set(codes))


def test_the_fix_is_the_last_sentence() -> None:
    assert str(NotFound("No model 'x'.", fix="Log it first.")) == "No model 'x'. Log it first."
    assert InvalidInput("Bad.").fix is None
