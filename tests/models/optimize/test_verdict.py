from __future__ import annotations

import numpy as np
import pytest

from penstock.ground.errors import ModelFolderInvalid
from penstock.models.optimize.prove import Probes, compare, prove
from penstock.models.optimize.verdict import BatchSpeed, Verdict, largest_batch


def test_the_largest_batch_is_the_last_that_was_measured_faster() -> None:
    assert largest_batch((BatchSpeed(1, 100.0, 10.0), BatchSpeed(8, 100.0, 90.0), BatchSpeed(64, 100.0, 200.0))) == 8
    assert largest_batch((BatchSpeed(1, 10.0, 100.0),)) == 0
    assert largest_batch((BatchSpeed(1, 100.0, 10.0),)) > 10**9


def test_a_verdict_survives_its_table() -> None:
    verdict = Verdict(accepted=True, precision="double", speed=(BatchSpeed(1, 2.0, 1.0),), max_rows=4)
    assert Verdict.from_dict(verdict.to_dict()) == verdict
    with pytest.raises(ModelFolderInvalid, match="cannot be read"):
        Verdict.from_dict({"accepted": "maybe"})


@pytest.mark.parametrize(
    ("expected", "given", "reason"),
    [
        (np.array([1, 2]), np.array([1, 2]), None),
        (np.array([1, 2]), np.array([1, 3]), "1 of 2 labels differ"),
        (np.array([1.0, np.nan]), np.array([1.0 + 1e-7, np.nan]), None),
        (np.array([1.0, np.inf]), np.array([1.0, np.inf]), None),
        (np.array([1.0]), np.array([1.001]), "1 of 1 numbers differ by up to 0.001"),
        (np.array([1.0]), np.array([np.nan]), "1 of 1 numbers differ"),
        (np.array([1.0]), np.array([[1.0, 2.0]]), "shape"),
        (np.array([1.0]), None, "fails on rows"),
    ],
)
def test_answers_are_compared_to_the_last(expected: np.ndarray, given: np.ndarray | None, reason: str | None) -> None:
    with np.errstate(all="ignore"):
        found = compare(expected, given)[0]
    assert (found is None) if reason is None else (reason in str(found))


def test_a_compiled_form_that_errs_only_at_one_edge_is_caught() -> None:
    def original(rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] > 0).astype(np.int64)

    def almost(rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] >= 0).astype(np.int64)

    rows = Probes(np.array([[1.0], [2.0], [0.0]]))
    assert prove(original, original, rows).reason is None
    assert "labels differ" in str(prove(original, almost, rows).reason)


def test_one_that_answers_where_the_original_refuses_is_kept_from_such_rows() -> None:
    def careful(rows: np.ndarray) -> np.ndarray:
        if np.isnan(rows).any():
            raise ValueError("NaN")
        return rows[:, 0]

    probes = Probes(np.array([[1.0], [2.0]]), np.array([[np.nan]]))
    proof = prove(careful, lambda rows: rows[:, 0], probes)
    assert (proof.reason, proof.finite_only) == (None, True)
