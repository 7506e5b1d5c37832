"""What a test does when a real component that it needs is not installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str, fix: str) -> NoReturn:
    """Skips the test for want of ``what``, or fails it where CI=true."""
    message = f"{what} is not here: {fix}"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(message)
    pytest.skip(message)
