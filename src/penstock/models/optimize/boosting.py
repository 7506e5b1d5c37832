"""scikit-learn's boosting and its regressing forests, as graphs of double trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

from penstock.ground.errors import NotImplementedHere
from penstock.models.columns import NdArray
from penstock.models.optimize.ensemble import Tree, constant_tree
from penstock.models.optimize.nodes import Link, Sums, write_sums

HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
STAGES = (GradientBoostingClassifier, GradientBoostingRegressor)
FORESTS = (RandomForestRegressor, ExtraTreesRegressor, DecisionTreeRegressor, ExtraTreeRegressor)
# What turns the sum of the trees into the answer, by the loss that was trained on.
_LINKS = {
    "HalfBinomialLoss": Link.LOGISTIC,
    "HalfMultinomialLoss": Link.SOFTMAX,
    "ExponentialLoss": Link.LOGISTIC_TWICE,
    "HalfPoissonLoss": Link.EXP,
    "HalfGammaLoss": Link.EXP,
}


def convert_histograms(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of a HistGradientBoosting estimator."""
    model = operator.raw_operator
    if getattr(model, "_preprocessor", None) is not None:
        raise NotImplementedHere("Its own encoding of categories is not converted.")
    start = np.asarray(model._baseline_prediction, np.float64).ravel()
    trees = [constant_tree(value, target) for target, value in enumerate(start)]
    trees += [_histogram_tree(each, target) for stage in model._predictors for target, each in enumerate(stage)]
    write_sums(scope, operator, container, Sums(trees, len(start), _link(model._loss)))


def _link(loss: Any) -> Link:
    return _LINKS.get(type(loss).__name__, Link.IDENTITY)


def _histogram_tree(predictor: Any, target: int) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"][~leaf].any():
        raise NotImplementedHere("Splits by category are not converted.")
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        cut=nodes["num_threshold"],
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(np.int64),
        value=nodes["value"],
        target=target,
    )


def convert_stages(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of a GradientBoosting estimator, whose start is a constant unless the user gave a model."""
    model = operator.raw_operator
    if model.init is not None and not isinstance(model.init, str):
        raise NotImplementedHere("Boosting that starts from another model is not converted.")
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]
    trees = [constant_tree(value, target) for target, value in enumerate(start)]
    for stage in model.estimators_:
        trees += [sklearn_tree(each.tree_, model.learning_rate, target) for target, each in enumerate(stage)]
    link = _link(model._loss) if hasattr(model, "classes_") else Link.IDENTITY
    write_sums(scope, operator, container, Sums(trees, len(start), link, single=True, positive_is_zero=True))


def sklearn_tree(tree: Any, factor: float = 1.0, target: int = 0) -> Tree:
    """A tree of scikit-learn's with one output, its values times ``factor``."""
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    return Tree(feature=np.maximum(tree.feature, 0), cut=tree.threshold, left=tree.children_left,
                right=tree.children_right, missing_left=np.asarray(missing).astype(np.int64),
                value=factor * tree.value[:, 0, 0], target=target)  # fmt: skip


def convert_regressing_forest(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of a forest or a tree that regresses on one target: the mean of its trees."""
    forest = operator.raw_operator
    if forest.n_outputs_ != 1:
        raise NotImplementedHere("A forest of several outputs is not converted.")
    members = getattr(forest, "estimators_", [forest])
    trees = [sklearn_tree(each.tree_) for each in members]
    write_sums(scope, operator, container, Sums(trees, 1, Link.IDENTITY, single=True, divisor=len(members)))


def cuts(estimator: Any) -> Iterator[tuple[NdArray, NdArray]]:
    """The columns and the cuts of each tree's nodes."""
    for stage in getattr(estimator, "_predictors", ()):
        for each in stage:
            inner = each.nodes["is_leaf"] == 0
            yield each.nodes["feature_idx"][inner].astype(np.int64), each.nodes["num_threshold"][inner]
    for member in [estimator, *np.ravel(np.asarray(getattr(estimator, "estimators_", ()), dtype=object))]:
        tree = getattr(member, "tree_", None)
        if tree is not None:
            inner = tree.feature >= 0
            yield tree.feature[inner], tree.threshold[inner]
