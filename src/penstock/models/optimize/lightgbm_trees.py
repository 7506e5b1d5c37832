"""LightGBM's estimators as graphs of double trees, read from the booster's own description of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from penstock.ground.errors import NotImplementedHere
from penstock.models.columns import NdArray
from penstock.models.optimize.ensemble import Tree
from penstock.models.optimize.nodes import Link, Sums, write_sums

_EXP = ("poisson", "gamma", "tweedie")
_PLAIN = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
# Where LightGBM's own comparison of |value| with zero begins; such models are left to other converters.
_ZERO_IS_MISSING = "Zero"


def convert_lightgbm(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of an LGBMClassifier or LGBMRegressor. Raises NotImplementedHere for what it cannot say."""
    dump = operator.raw_operator.booster_.dump_model()
    n_targets = int(dump["num_tree_per_iteration"])
    trees = [_tree(each["tree_structure"], place % n_targets) for place, each in enumerate(dump["tree_info"])]
    divisor = len(trees) // n_targets if dump.get("average_output") else 1
    write_sums(scope, operator, container, Sums(trees, n_targets, _link(str(dump["objective"])), divisor=divisor))


def _link(objective: str) -> Link:
    """The link of an objective as the booster spells it, e.g. "binary sigmoid:1"."""
    name, *options = objective.split()
    if name == "binary" and "sigmoid:1" in options:
        return Link.LOGISTIC
    if name == "multiclass":
        return Link.SOFTMAX
    if name in _EXP:
        return Link.EXP
    if name in _PLAIN and "sqrt" not in options:
        return Link.IDENTITY
    raise NotImplementedHere(f"LightGBM's objective {objective!r} is not converted.")


def _tree(root: Mapping[str, Any], target: int) -> Tree:
    nodes = list(_walk(root))
    place = {id(node): at for at, node in enumerate(nodes)}
    inner = [node for node in nodes if "left_child" in node]
    if any(node["decision_type"] != "<=" or node["missing_type"] == _ZERO_IS_MISSING for node in inner):
        raise NotImplementedHere("LightGBM's splits by category, and zeros that mean missing, are not converted.")

    def each(of: Any, leaf: Any, dtype: Any) -> NdArray:
        return np.array([of(node) if "left_child" in node else leaf for node in nodes], dtype)

    return Tree(
        feature=each(lambda node: node["split_feature"], 0, np.int64),
        cut=each(lambda node: node["threshold"], 0.0, np.float64),
        left=each(lambda node: place[id(node["left_child"])], -1, np.int64),
        right=each(lambda node: place[id(node["right_child"])], -1, np.int64),
        missing_left=each(_missing_goes_left, 0, np.int64),
        value=np.array([node.get("leaf_value", 0.0) for node in nodes]),
        target=target,
    )


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in ("left_child", "right_child"):
        if child in node:
            yield from _walk(node[child])


def _missing_goes_left(node: Mapping[str, Any]) -> bool:
    """Training without missing values leaves "None": a NaN is then taken as zero."""
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else bool(node["threshold"] >= 0.0)


def cuts(estimator: Any) -> Iterator[tuple[NdArray, NdArray]]:
    """The columns and the cuts of each tree's nodes."""
    for tree in estimator.booster_.dump_model()["tree_info"]:
        inner = [node for node in _walk(tree["tree_structure"]) if node.get("decision_type") == "<="]
        yield np.array([n["split_feature"] for n in inner], np.int64), np.array([n["threshold"] for n in inner])
