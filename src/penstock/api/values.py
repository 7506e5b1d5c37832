"""What a notebook hands over, as the store's values; wrong ones are refused here, where the call was made."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from penstock.ground.entities import Metric, Param, Tag, ViewType
from penstock.ground.errors import InvalidInput
from penstock.store import limits

_VIEWS = {1: ViewType.ACTIVE_ONLY, 2: ViewType.DELETED_ONLY, 3: ViewType.ALL}


def params_of(values: Mapping[str, Any]) -> tuple[Param, ...]:
    """Each value as text. Raises InvalidInput for a key that cannot be a name."""
    params = tuple(Param(key=str(key), value=str(value)) for key, value in values.items())
    for param in params:
        limits.check_pair(param)
    return params


def tags_of(values: Mapping[str, Any] | None) -> tuple[Tag, ...]:
    """Each value as text. Raises InvalidInput for a key that cannot be a name."""
    tags = tuple(Tag(key=str(key), value=str(value)) for key, value in (values or {}).items())
    for tag in tags:
        limits.check_pair(tag)
    return tags


def metrics_of(
    values: Mapping[str, Any],
    *,
    step: int | None,
    timestamp_ms: int,
    model_id: str | None = None,
    dataset: tuple[str, str] | None = None,
) -> tuple[Metric, ...]:
    """One point of each key. ``dataset`` is a name and a digest. Raises InvalidInput for what is no number."""
    name, digest = dataset or (None, None)
    metrics = tuple(
        Metric(
            key=str(key),
            value=_number(key, value),
            timestamp_ms=int(timestamp_ms),
            step=int(step or 0),
            model_id=model_id,
            dataset_name=name,
            dataset_digest=digest,
        )
        for key, value in values.items()
    )
    for metric in metrics:
        limits.check_metric(metric)
    return metrics


def _number(key: str, value: Any) -> float:
    """``value`` as a float: a Python or numpy number, or an array or tensor of one element, but no boolean or text."""
    if isinstance(value, bool):
        raise _no_number(key, value)
    if isinstance(value, numbers.Real):
        return float(value)
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        try:
            return float(value.item())
        except (TypeError, ValueError):
            pass
    raise _no_number(key, value)


def _no_number(key: str, value: Any) -> InvalidInput:
    return InvalidInput(f"The metric {key!r} has the value {value!r}, which is no number.", fix="Log a float.")


def view_of(view: int | str | ViewType) -> ViewType:
    """MLflow's view type, given as its number (1 active, 2 deleted, 3 all) or its name."""
    if isinstance(view, int) and view in _VIEWS:
        return _VIEWS[view]
    try:
        return ViewType(str(view))
    except ValueError:
        raise InvalidInput(f"{view!r} is not a view type.", fix="Use 1 (active), 2 (deleted) or 3 (all).") from None
