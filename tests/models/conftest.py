"""Models to pack: a classifier trained on the real iris data, with and without column names."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


@pytest.fixture(scope="session")
def iris() -> tuple[Any, Any]:
    """A frame of four named columns of doubles, and the three species as 0, 1 and 2."""
    features, species = load_iris(return_X_y=True, as_frame=True)
    return features, species


@pytest.fixture(scope="session")
def classifier(iris: tuple[Any, Any]) -> LogisticRegression:
    return LogisticRegression(max_iter=200).fit(*iris)
