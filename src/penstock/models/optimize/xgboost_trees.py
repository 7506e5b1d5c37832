"""XGBoost's estimators as graphs of single trees, which is how it computes, read from its own JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.ground.errors import NotImplementedHere
from penstock.models.columns import NdArray
from penstock.models.optimize.ensemble import Tree, constant_tree
from penstock.models.optimize.nodes import Link, Sums, write_sums

_LINKS = {
    "binary:logistic": Link.LOGISTIC,
    "multi:softprob": Link.SOFTMAX,
    "multi:softmax": Link.SOFTMAX,
    "count:poisson": Link.EXP,
    "reg:gamma": Link.EXP,
    "reg:tweedie": Link.EXP,
    "reg:squarederror": Link.IDENTITY,
    "reg:absoluteerror": Link.IDENTITY,
    "reg:pseudohubererror": Link.IDENTITY,
}


def convert_xgboost(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of an XGBClassifier or XGBRegressor. Raises NotImplementedHere for what it cannot say."""
    model = operator.raw_operator
    learner = _learner(model)
    link = _LINKS.get(learner["objective"]["name"])
    if link is None:
        raise NotImplementedHere(f"XGBoost's objective {learner['objective']['name']} is not converted.")
    params = learner["learner_model_param"]
    if model.missing is None or not np.isnan(model.missing) or int(params.get("num_target", 1)) > 1:
        raise NotImplementedHere("XGBoost with missing values other than NaN, or of several targets, is not converted.")
    n_targets = max(int(params["num_class"]), 1)
    start = np.broadcast_to(_margin(_numbers(params["base_score"]), link), (n_targets,))
    trees = [constant_tree(float(value), target) for target, value in enumerate(start)]
    trees += _trees(model, learner)
    write_sums(scope, operator, container, Sums(trees, n_targets, link, single=True, dtype="float32", below=True))


def _learner(model: Any) -> Any:
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise NotImplementedHere(f"XGBoost's booster {learner['gradient_booster']['name']} is not converted.")
    return learner


def _numbers(text: Any) -> NdArray:
    """The start score: before 3.1 a number as text, since then a list of them as text."""
    return np.atleast_1d(np.array(json.loads(str(text)), np.float32))


def _margin(score: NdArray, link: Link) -> NdArray:
    if link is Link.LOGISTIC:
        return -np.log(np.float32(1) / score - np.float32(1))
    return np.log(score) if link is Link.EXP else score


def _trees(model: Any, learner: Any) -> Iterator[Tree]:
    """The trees that the estimator asks: those up to the best iteration where training stopped early."""
    forest = learner["gradient_booster"]["model"]
    trees, targets = forest["trees"], forest["tree_info"]
    if model.get_booster().attr("best_iteration") is not None:
        trees = trees[: forest["iteration_indptr"][model.best_iteration + 1]]
    for tree, target in zip(trees, targets, strict=False):
        if any(tree["split_type"]):
            raise NotImplementedHere("XGBoost's splits by category are not converted.")
        left = np.array(tree["left_children"], np.int64)
        yield Tree(
            feature=np.array(tree["split_indices"], np.int64),
            cut=np.array(tree["split_conditions"], np.float32),
            left=left,
            right=np.array(tree["right_children"], np.int64),
            missing_left=np.array(tree["default_left"], np.int64),
            value=np.where(left < 0, np.array(tree["split_conditions"], np.float32), 0),
            target=int(target),
        )


def cuts(estimator: Any) -> Iterator[tuple[NdArray, NdArray]]:
    """The columns and the cuts of each tree's nodes; none for other boosters and for splits by category."""
    learner = json.loads(bytes(estimator.get_booster().save_raw("json")))["learner"]
    for tree in learner["gradient_booster"].get("model", {}).get("trees", ()):
        inner = (np.array(tree["left_children"]) >= 0) & (np.array(tree["split_type"]) == 0)
        yield np.array(tree["split_indices"])[inner], np.array(tree["split_conditions"], np.float64)[inner]
