"""What was found when a model was compiled: whether the compiled form may stand in for it, and from when it pays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec
from msgspec import Struct

from penstock.ground.errors import ModelFolderInvalid

FIELD = "penstock_optimized"
DIRECTORY = "optimized"


class BatchSpeed(Struct, frozen=True):
    """Microseconds that one predict call of ``rows`` rows takes, the quickest of many."""

    rows: int
    original_us: float
    compiled_us: float

    @property
    def ratio(self) -> float:
        """How many times faster the compiled form is."""
        return self.original_us / self.compiled_us


class Verdict(Struct, frozen=True, kw_only=True):
    """The proof and the measurement, kept in MLmodel.

    ``accepted`` only if every one of ``rows_compared`` answers agreed: labels identical, numbers within ``tolerance``
    (relative, and absolute against the largest answer). ``largest_difference`` is what was seen. ``finite_only`` says
    that rows with NaN, infinity or beyond ``limit`` go to the original. ``max_rows`` is the largest batch that the
    compiled form answers (0: none is worth it). ``columns`` are those that the compiled form takes one by one (none: it
    takes one array of all), and ``known`` the categories, by column, beyond which a row goes to the original.
    ``answer_dtype`` and ``answer_axes`` are the original answer's. The digests tie the verdict to the files and the
    signature it was made from.
    """

    accepted: bool
    reason: str | None = None
    precision: str | None = None
    rows_compared: int = 0
    largest_difference: float = 0.0
    tolerance: float = 0.0
    finite_only: bool = True
    limit: float = 0.0
    max_rows: int = 0
    speed: tuple[BatchSpeed, ...] = ()
    columns: tuple[str, ...] = ()
    known: dict[str, tuple[str, ...]] = {}
    answer_dtype: str = ""
    answer_axes: int = 1
    original_sha256: str = ""
    compiled_sha256: str = ""
    signature_sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Raises ModelFolderInvalid."""
        try:
            return msgspec.convert(table, cls)
        except msgspec.ValidationError as error:
            raise ModelFolderInvalid(f"MLmodel's {FIELD} cannot be read: {error}.", fix="Optimize it again.") from error


def largest_batch(speed: tuple[BatchSpeed, ...]) -> int:
    """The batch size up to which the compiled form is faster, 0 if it never is, a great number if it always is.

    Between two measured sizes of which the smaller wins and the larger loses, the smaller is taken: what was measured.
    """
    best = 0
    for each in speed:
        if each.ratio <= 1.0:
            return best
        best = each.rows
    return 1 << 62 if speed else 0
