"""Where CI=true, every library that a test may skip for want of is really there.

TensorFlow and Keras are left to the full ring of tests: they weigh more than all else together. Install them beside
the others (``penstock[tensorflow]``) and their cases of the contract run too.
"""

from __future__ import annotations

import importlib.util

import pytest

from components import missing

QUICK_RING = ("xgboost", "lightgbm", "onnx", "onnxruntime", "skl2onnx", "skops", "torch", "psycopg")


@pytest.mark.parametrize("library", QUICK_RING)
def test_the_library_is_here(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        missing(library, "make test installs it")
    assert importlib.util.find_spec(library) is not None
