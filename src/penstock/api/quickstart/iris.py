"""The story's model: scikit-learn on the real iris data, trained epoch by epoch so that there is something to watch."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from msgspec import Struct
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

EPOCHS = 30
PARAMS = {"loss": "log_loss", "alpha": 1e-4, "learning_rate": "constant", "eta0": 0.02, "random_state": 7}


class Epoch(Struct, frozen=True):
    """What was measured after one pass over the training rows."""

    step: int
    train_loss: float
    test_loss: float
    test_accuracy: float


class TrainedIris(Struct, frozen=True):
    """A fitted pipeline, the rows held out from it (150 in all, 30 held out; 4 columns, cm), and how it got there."""

    model: Pipeline
    test_rows: pd.DataFrame
    test_labels: pd.Series
    epochs: tuple[Epoch, ...]

    @property
    def accuracy(self) -> float:
        """The share of held-out rows that the model labels rightly."""
        return self.epochs[-1].test_accuracy


def train() -> TrainedIris:
    """A classifier of iris flowers: 0.0 setosa, 1.0 versicolor, 2.0 virginica."""
    data = load_iris(as_frame=True)
    labels = data.target.astype("float64")
    train_rows, test_rows, train_labels, test_labels = train_test_split(
        data.data, labels, test_size=0.2, random_state=7, stratify=labels
    )
    scaler = StandardScaler().fit(train_rows)
    classifier = SGDClassifier(**PARAMS)
    model = make_pipeline(scaler, classifier)
    epochs = []
    for step in range(EPOCHS):
        classifier.partial_fit(scaler.transform(train_rows), train_labels, classes=sorted(labels.unique()))
        epochs.append(
            Epoch(
                step=step,
                train_loss=float(log_loss(train_labels, model.predict_proba(train_rows))),
                test_loss=float(log_loss(test_labels, model.predict_proba(test_rows))),
                test_accuracy=float(accuracy_score(test_labels, model.predict(test_rows))),
            )
        )
    return TrainedIris(model=model, test_rows=test_rows, test_labels=test_labels, epochs=tuple(epochs))


def virginica(trained: TrainedIris) -> pd.DataFrame:
    """One held-out row, shape (1, 4), that really is a virginica: the story's question, whose answer is 2.0."""
    return trained.test_rows[trained.test_labels == 2.0].head(1)


def learning_curve(trained: TrainedIris) -> Figure:
    """A plot of the loss on training and held-out rows after each epoch."""
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.subplots()
        steps = [epoch.step for epoch in trained.epochs]
        axes.plot(steps, [epoch.train_loss for epoch in trained.epochs], label="training rows")
        axes.plot(steps, [epoch.test_loss for epoch in trained.epochs], label="held-out rows")
        axes.set(title="Iris: loss after each epoch", xlabel="epoch", ylabel="log loss")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure
