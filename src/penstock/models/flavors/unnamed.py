"""A scikit-learn estimator's twin that was never told column names.

An estimator that was fitted on a frame keeps the names, and warns about each array it is given. Filtering
warnings is global and slow; so the array path uses a twin without ``feature_names_in_``. The twin shares every
fitted array with the original and costs microseconds to make.
"""

from __future__ import annotations

from typing import Any

# Their estimators treat columns by place alone; a user's own class may look at names, so it keeps its frame.
_BY_PLACE = ("sklearn", "xgboost", "lightgbm")
_BY_NAME = ("ColumnTransformer", "FunctionTransformer", "DictVectorizer")


class _NamesMatter(Exception):
    """Some estimator inside looks at the columns' names."""


def without_feature_names(estimator: Any) -> Any:
    """The twin of ``estimator``, or None where column names may matter to it."""
    try:
        return _twin(estimator, {})
    except _NamesMatter:
        return None


def _twin(value: Any, seen: dict[int, Any]) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    if any(base.__name__ == "BaseEstimator" for base in type(value).__mro__):
        return _estimator_twin(value, seen)
    if type(value) in (list, tuple):
        return type(value)(_twin(each, seen) for each in value)
    if isinstance(value, dict):
        twin = type(value)()
        twin.update({name: _twin(each, seen) for name, each in value.items()})
        return twin
    return value


def _estimator_twin(estimator: Any, seen: dict[int, Any]) -> Any:
    kind = type(estimator)
    if kind.__module__.partition(".")[0] not in _BY_PLACE or kind.__name__ in _BY_NAME:
        raise _NamesMatter
    state = dict(vars(estimator))
    if "_sklearn_output_config" in state or state.get("_preprocessor") is not None:
        raise _NamesMatter
    twin = seen[id(estimator)] = object.__new__(_nameless(kind))
    state.pop("feature_names_in_", None)
    twin.__dict__.update({name: _twin(each, seen) for name, each in state.items()})
    return twin


def _nameless(kind: type[Any]) -> type[Any]:
    """``kind``, or where ``feature_names_in_`` is a property of the class (LightGBM, XGBoost) a subclass without it."""
    if not hasattr(kind, "feature_names_in_"):
        return kind
    return type(kind.__name__, (kind,), {"feature_names_in_": property(_no_names), "__module__": kind.__module__})


def _no_names(estimator: Any) -> Any:
    raise AttributeError("feature_names_in_")
