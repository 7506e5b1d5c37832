"""The rows on which the original and the compiled form must agree: real ones, sampled ones, and those at the edges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from penstock.models.columns import NdArray
from penstock.models.optimize import boosting, lightgbm_trees, xgboost_trees
from penstock.models.optimize.parts import parts

SAMPLES = 2000
# sklearn's trees refuse what float32 cannot hold; beyond this both forms are left to the original.
LIMIT = 1e30


def profile(estimator: Any, rows: NdArray) -> tuple[NdArray, NdArray]:
    """The least and the greatest usual value of each column, shape (n_columns,) each.

    Told from real rows, and from what training left in the estimator: a scaler's mean and spread, trees' thresholds.
    """
    lows, highs = [rows.min(axis=0)] if len(rows) else [], [rows.max(axis=0)] if len(rows) else []
    width = rows.shape[1]
    for part in parts(estimator):
        if _has(part, "mean_", width) and _has(part, "scale_", width):
            lows.append(part.mean_ - 4 * part.scale_)
            highs.append(part.mean_ + 4 * part.scale_)
        if _has(part, "data_min_", width) and _has(part, "data_max_", width):
            lows.append(part.data_min_)
            highs.append(part.data_max_)
    for column, cuts in thresholds(estimator).items():
        if column < width:
            low, high = np.full(width, np.inf), np.full(width, -np.inf)
            low[column], high[column] = cuts.min(), cuts.max()
            lows.append(low)
            highs.append(high)
    low = np.min(lows, axis=0) if lows else np.full(width, -1.0)
    high = np.max(highs, axis=0) if highs else np.full(width, 1.0)
    return low, high


def _has(part: Any, name: str, width: int) -> bool:
    """Whether ``part`` keeps one number a column under ``name``."""
    kept = getattr(part, name, None)
    return isinstance(kept, np.ndarray) and kept.shape == (width,)


def thresholds(estimator: Any) -> dict[int, NdArray]:
    """The cuts of an estimator's trees by column, when the trees see the columns as they come in."""
    found: dict[int, list[NdArray]] = {}
    for features, cuts in _cuts(estimator):
        usual = np.abs(cuts) <= LIMIT  # an infinite cut tells the missing from the rest
        for column in np.unique(features[usual]):
            found.setdefault(int(column), []).append(cuts[usual & (features == column)])
    return {column: np.unique(np.concatenate(cuts)) for column, cuts in found.items()}


def _cuts(estimator: Any) -> Iterable[tuple[NdArray, NdArray]]:
    if hasattr(estimator, "booster_"):
        return lightgbm_trees.cuts(estimator)
    if hasattr(estimator, "get_booster"):
        return xgboost_trees.cuts(estimator)
    return boosting.cuts(estimator)


def finite_probes(estimator: Any, rows: NdArray, *, seed: int = 7) -> NdArray:
    """Rows of finite values: the real ones, samples around the profile, exact cuts and their neighbours, extremes."""
    random = np.random.default_rng(seed)
    low, high = profile(estimator, rows)
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    sampled = random.uniform(low - 0.25 * span, high + 0.25 * span, (SAMPLES, len(low)))
    rounded = np.round(sampled[: SAMPLES // 2], 1)
    batches = [rows, sampled, rounded, _at_cuts(estimator, sampled, random), _extremes(sampled)]
    return np.concatenate([batch for batch in batches if len(batch)])


def _at_cuts(estimator: Any, sampled: NdArray, random: np.random.Generator) -> NdArray:
    """Sampled rows whose values lie exactly on a tree's cut, or one step of float32 or of double beside it."""
    cuts = thresholds(estimator)
    rows = sampled[: SAMPLES // 2].copy()
    for column, values in cuts.items():
        if column < rows.shape[1]:
            chosen = random.choice(values, len(rows))
            single = chosen.astype(np.float32)
            beside = [
                chosen,
                np.nextafter(chosen, np.inf),
                np.nextafter(chosen, -np.inf),
                np.nextafter(single, np.float32(np.inf)).astype(np.float64),
                single.astype(np.float64),
            ]
            rows[:, column] = np.choose(random.integers(0, len(beside), len(rows)), beside)
    return rows if cuts else rows[:0]


def _extremes(sampled: NdArray) -> NdArray:
    """Rows with one value replaced by zero, minus zero, the smallest and the greatest that is let through."""
    values = (0.0, -0.0, 1e-300, 1.0, -1.0, 1e6, -1e6, LIMIT, -LIMIT)
    width = sampled.shape[1]
    rows = np.repeat(sampled[:1], len(values) * min(width, 50), axis=0)
    for place in range(len(rows)):
        rows[place, place // len(values)] = values[place % len(values)]
    return rows


def missing_probes(estimator: Any, rows: NdArray, *, seed: int = 11) -> NdArray:
    """Rows with a NaN in each column in turn, rows with several, and one of NaN alone."""
    random = np.random.default_rng(seed)
    width = rows.shape[1]
    made = np.repeat(rows[:1], min(width, 50) + 1, axis=0).astype(np.float64)
    for place in range(len(made) - 1):
        made[place, place] = np.nan
    made[-1] = np.nan
    low, high = profile(estimator, rows)
    sampled = random.uniform(low, high, (SAMPLES // 4, width))
    sampled[random.random(sampled.shape) < 0.3] = np.nan
    return np.concatenate([made, sampled])
