"""Whether a compiled form answers as the original does: the comparison, and the verdict with its reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from penstock.models.columns import NdArray

# Relative to the answer, and absolutely to the largest answer: float32 arithmetic's own grain, some steps wide.
TOLERANCE = 1e-5
Answer = Callable[[Any], Any]


class Probes(Struct, frozen=True):
    """Rows to compare on: usual ones with the finite extremes, and (None: there are none) with missing values and with
    text that training never saw."""

    usual: Any
    missing: Any = None
    unseen: Any = None


class Proof(Struct, frozen=True, kw_only=True):
    """``reason`` says why it does not hold; None: it holds.

    ``finite_only``: rows with NaN go to the original. ``known_only``: so do those with text that training never saw.
    """

    reason: str | None
    rows_compared: int
    largest_difference: float = 0.0
    finite_only: bool = True
    known_only: bool = True


def prove(original: Answer, compiled: Answer, probes: Probes) -> Proof:
    """The proof that ``compiled`` may stand in for ``original`` on rows like these, on samples, and at the edges."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # extremes overflow in both forms; here only the answers count
        expected = _answers(original, probes.usual)
        if expected is None:
            return Proof(reason="The original does not answer sampled rows.", rows_compared=0)
        given = _answers(compiled, probes.usual)
        reason, difference = compare(expected, given)
        return Proof(
            reason=reason,
            rows_compared=len(probes.usual),
            largest_difference=difference,
            finite_only=reason is not None or not _agree(original, compiled, probes.missing),
            known_only=reason is not None or not _agree(original, compiled, probes.unseen),
        )


def _agree(original: Answer, compiled: Answer, rows: Any) -> bool:
    if rows is None:
        return False
    expected, given = _answers(original, rows), _answers(compiled, rows)
    return expected is not None and given is not None and compare(expected, given)[0] is None


def _answers(answer: Answer, rows: Any) -> Any:
    """The answers, or None when it refuses these rows."""
    try:
        return np.asarray(answer(rows))
    except Exception:  # noqa: BLE001 - whatever a library raises, it is a refusal, and that is compared
        return None


def compare(expected: NdArray, given: NdArray | None) -> tuple[str | None, float]:
    """Why the answers differ (None: they agree), and the largest difference of numbers."""
    if given is None:
        return "The compiled form fails on rows that the original answers.", 0.0
    if given.shape != expected.shape:
        return f"The answers have the shape {given.shape}, not {expected.shape}.", 0.0
    if expected.dtype.kind != "f":
        wrong = int((given != expected).sum())
        return (f"{wrong} of {expected.size} labels differ." if wrong else None), 0.0
    difference = np.abs(given - expected)
    allowed = TOLERANCE * (np.abs(expected) + np.nanmax(np.abs(expected), initial=0.0))
    same = (given == expected) | (np.isnan(given) & np.isnan(expected)) | (difference <= allowed)
    largest = float(np.nanmax(difference, initial=0.0))
    wrong = int((~same).sum())
    return (f"{wrong} of {expected.size} numbers differ by up to {largest:.3g}." if wrong else None), largest
