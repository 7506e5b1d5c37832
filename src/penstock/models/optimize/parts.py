"""The estimators inside an estimator."""

from __future__ import annotations

from typing import Any


def parts(estimator: Any) -> list[Any]:
    """The estimator and those inside it: a pipeline's steps, an ensemble's members, a search's best."""
    found = [estimator]
    for value in vars(estimator).values() if hasattr(estimator, "__dict__") else ():
        for each in value if isinstance(value, list | tuple) else [value]:
            inner = each[1] if isinstance(each, tuple) and len(each) >= 2 else each
            if hasattr(inner, "get_params") and not isinstance(inner, type):
                found.extend(parts(inner))
    return found
