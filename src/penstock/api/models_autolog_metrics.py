"""What a fitted scikit-learn estimator achieves on its training data: MLflow's metrics and plots, by MLflow's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.base import is_classifier, is_regressor

from penstock.api.models_autolog import recording

PREFIX = "training_"


def training_metrics(estimator: Any, rows: Any, labels: Any, weights: Any, pos_label: Any = None) -> dict[str, float]:
    """The metrics of a classifier or a regressor on its training rows, and its own score."""
    found: dict[str, float] = {}
    for name, measure in _measures(estimator, rows, labels, weights, pos_label):
        with recording(f"the metric {PREFIX}{name}"):
            found[f"{PREFIX}{name}"] = float(measure())
    return found


Measures = Iterator[tuple[str, Callable[[], Any]]]


def _measures(estimator: Any, rows: Any, labels: Any, weights: Any, pos_label: Any) -> Measures:
    if is_classifier(estimator):
        yield from _classification(estimator, rows, labels, weights, pos_label)
    elif is_regressor(estimator):
        yield from _regression(estimator.predict(rows), labels, weights)
    if hasattr(estimator, "score"):
        weighted = weights is not None and "sample_weight" in estimator.score.__code__.co_varnames
        yield "score", lambda: estimator.score(rows, labels, **({"sample_weight": weights} if weighted else {}))


def _classification(estimator: Any, rows: Any, labels: Any, weights: Any, pos_label: Any) -> Measures:
    predicted = estimator.predict(rows)
    how = {"pos_label": pos_label, "average": "weighted" if pos_label is None else "binary", "sample_weight": weights}
    yield "precision_score", lambda: metrics.precision_score(labels, predicted, **how)
    yield "recall_score", lambda: metrics.recall_score(labels, predicted, **how)
    yield "f1_score", lambda: metrics.f1_score(labels, predicted, **how)
    yield "accuracy_score", lambda: metrics.accuracy_score(labels, predicted, sample_weight=weights)
    if hasattr(estimator, "predict_proba"):
        chances = estimator.predict_proba(rows)
        scores = chances[:, 1] if chances.shape[1] == 2 else chances
        ranked = {"average": "weighted", "multi_class": "ovo", "sample_weight": weights}
        yield "log_loss", lambda: metrics.log_loss(labels, chances, sample_weight=weights)
        yield "roc_auc", lambda: metrics.roc_auc_score(labels, scores, **ranked)


def _regression(predicted: Any, labels: Any, weights: Any) -> Measures:
    yield "mean_squared_error", lambda: metrics.mean_squared_error(labels, predicted, sample_weight=weights)
    yield "mean_absolute_error", lambda: metrics.mean_absolute_error(labels, predicted, sample_weight=weights)
    yield "r2_score", lambda: metrics.r2_score(labels, predicted, sample_weight=weights)
    yield (
        "root_mean_squared_error",
        lambda: np.sqrt(metrics.mean_squared_error(labels, predicted, sample_weight=weights)),
    )


def training_plots(estimator: Any, rows: Any, labels: Any, weights: Any) -> Iterator[tuple[str, Any]]:
    """A classifier's plots by file name: the confusion matrix, and for two classes both curves."""
    from matplotlib.figure import Figure

    def axes() -> Any:
        return Figure(figsize=(6, 4), dpi=175, layout="constrained").subplots()

    data = {"sample_weight": weights, "ax": axes()}
    drawn = metrics.ConfusionMatrixDisplay.from_estimator(
        estimator, rows, labels, normalize="true", cmap="Blues", **data
    )
    yield f"{PREFIX}confusion_matrix.png", drawn.ax_.figure
    if len(np.unique(labels)) == 2:
        curve = metrics.RocCurveDisplay.from_estimator(estimator, rows, labels, sample_weight=weights, ax=axes())
        yield f"{PREFIX}roc_curve.png", curve.ax_.figure
        area = metrics.PrecisionRecallDisplay.from_estimator(estimator, rows, labels, sample_weight=weights, ax=axes())
        yield f"{PREFIX}precision_recall_curve.png", area.ax_.figure
