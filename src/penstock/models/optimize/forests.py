"""Forests and trees that classify, as graphs whose labels are scikit-learn's to the last tie.

skl2onnx adds up shares of 1/n in float32, so a vote of 250 to 250 falls to either side: measured on a forest of 500
trees, 1 % of sampled rows got another label. Here the leaves' own shares are added (whole numbers in a fully grown
forest, hence exact) and the first of the greatest wins, as in ``numpy.argmax``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from penstock.models.columns import NdArray

CLASSIFIERS = (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier)
_DOMAIN = "ai.onnx.ml"


def convert_forest(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes of one forest to skl2onnx's container: rows -> votes -> label and probabilities."""
    forest = operator.raw_operator
    trees = [each.tree_ for each in getattr(forest, "estimators_", [forest])]
    rows, votes, place, count = (scope.get_unique_variable_name(name) for name in ("rows", "votes", "place", "count"))
    label, probabilities = (each.full_name for each in operator.outputs)
    container.add_node("Cast", operator.inputs[0].full_name, rows, to=TensorProto.FLOAT, op_version=13)
    attributes = {"n_targets": len(forest.classes_), "aggregate_function": "SUM", **_ensemble(trees)}
    container.add_node("TreeEnsembleRegressor", rows, votes, op_domain=_DOMAIN, op_version=1, **attributes)
    container.add_initializer(count, TensorProto.FLOAT, [1], [float(len(trees))])
    shares = scope.get_unique_variable_name("shares")
    container.add_node("Div", [votes, count], shares, op_version=14)
    double = isinstance(operator.outputs[1].type, DoubleTensorType)
    to = TensorProto.DOUBLE if double else TensorProto.FLOAT
    container.add_node("Cast", shares, probabilities, to=to, op_version=13)
    container.add_node("ArgMax", votes, place, axis=1, keepdims=0, op_version=13)
    classes = scope.get_unique_variable_name("classes")
    text = forest.classes_.dtype.kind not in "biuf"
    values = [str(each).encode() if text else int(each) for each in forest.classes_]
    container.add_initializer(classes, TensorProto.STRING if text else TensorProto.INT64, [len(values)], values)
    container.add_node("Gather", [classes, place], label, axis=0, op_version=13)


def _ensemble(trees: list[Any]) -> dict[str, Any]:
    """The attributes of TreeEnsembleRegressor for these trees."""
    leaves = [tree.children_left == -1 for tree in trees]
    shares = [_shares(tree)[leaf] for tree, leaf in zip(trees, leaves, strict=True)]
    kept = [np.nonzero(share) for share in shares]
    nodes = {
        "nodes_treeids": np.concatenate([np.full(tree.node_count, at) for at, tree in enumerate(trees)]),
        "nodes_nodeids": np.concatenate([np.arange(tree.node_count) for tree in trees]),
        "nodes_featureids": np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),
        "nodes_values": np.concatenate([_cuts(tree.threshold) for tree in trees]),
        "nodes_truenodeids": np.concatenate([np.maximum(tree.children_left, 0) for tree in trees]),
        "nodes_falsenodeids": np.concatenate([np.maximum(tree.children_right, 0) for tree in trees]),
        "nodes_missing_value_tracks_true": np.concatenate([_missing_goes_left(tree) for tree in trees]),
        "target_treeids": np.concatenate([np.full(len(rows), at) for at, (rows, _) in enumerate(kept)]),
        "target_nodeids": np.concatenate(
            [np.nonzero(leaf)[0][rows] for leaf, (rows, _) in zip(leaves, kept, strict=True)]
        ),
        "target_ids": np.concatenate([classes for _, classes in kept]),
        "target_weights": np.concatenate([share[at] for share, at in zip(shares, kept, strict=True)]),
    }
    modes = np.where(np.concatenate(leaves), "LEAF", "BRANCH_LEQ")
    return {"nodes_modes": modes.tolist(), **{name: values.tolist() for name, values in nodes.items()}}


def _shares(tree: Any) -> NdArray:
    """Each node's share of the classes, shape (n_nodes, n_classes)."""
    values = tree.value[:, 0, :]
    return values / np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)  # type: ignore[no-any-return]


def _cuts(thresholds: NdArray) -> NdArray:
    """The greatest float32 not above each threshold: for a float32 x, ``x <= cut`` exactly when ``x <= threshold``."""
    cuts = thresholds.astype(np.float32)
    above = cuts.astype(np.float64) > thresholds
    cuts[above] = np.nextafter(cuts[above], np.float32(-np.inf))
    return cuts


def _missing_goes_left(tree: Any) -> NdArray:
    return np.asarray(getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))).astype(np.int64)
