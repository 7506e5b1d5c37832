"""CloudWatch's percentiles, which moto lacks."""

from __future__ import annotations

import pytest

from penstock.rehearsal.percentiles import percentile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([1.0, 2.0, 3.0, 4.0], 50, 2.5), ([7.0], 99.9, 7.0), ([3.0, 1.0, 2.0], 100, 3.0), ([3.0, 1.0, 2.0], 0, 1.0)],
)
def test_percentiles_interpolate(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == pytest.approx(expected)
