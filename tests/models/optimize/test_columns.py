"""Models of named columns, numbers and text together: compiled, and asked without a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from penstock.ground.errors import ModelFailed
from penstock.models.load import LoadedModel, load_model
from penstock.models.optimize.column_predictor import ColumnsPredictor
from penstock.models.optimize.compile import optimize
from penstock.models.pack import save_model

pytest.importorskip("skl2onnx")
NUMBERS, TEXTS = ["age", "fare paid"], ["port", "sex"]


@pytest.fixture(scope="module")
def passengers() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 10, 300),
            "port": random.choice(["rome", "oslo", "lima"], 300),
            "fare paid": random.gamma(2, 20, 300),
            "sex": random.choice(["m", "f"], 300),
            "rooms": random.integers(1, 9, 300),
            "note": random.choice(["a word", "two words"], 300),
        }
    )
    return frame, ((frame["age"] > 40) ^ (frame["sex"] == "m")).astype(int).to_numpy()


def columns(numbers: Any, texts: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [("numbers", numbers, NUMBERS), ("whole", "passthrough", ["rooms"]), ("texts", texts, TEXTS)]
    )


def compiled(model: Any, path: Path, frame: pd.DataFrame) -> LoadedModel:
    folder = save_model(model, path, input_example=frame[:40], pip_requirements=[])
    verdict = optimize(folder)
    assert verdict.accepted, verdict.reason
    loaded = load_model(path)
    assert isinstance(loaded.predictor, ColumnsPredictor)
    return loaded


def others(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the same kind, in another order and mixed anew."""
    mixed = {name: frame[name].sample(frac=1, random_state=at).to_numpy() for at, name in enumerate(frame)}
    return pd.DataFrame(mixed)


@pytest.mark.parametrize("last", ["line", "numbers", "forest", "histogram"])
def test_numbers_and_text_are_answered_without_a_frame(tmp_path: Path, passengers: Any, last: str) -> None:
    frame, target = passengers
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    first, estimator = {
        "line": (columns(scaled, OneHotEncoder(handle_unknown="ignore")), LogisticRegression()),
        "numbers": (columns(scaled, OneHotEncoder(handle_unknown="ignore")), LinearRegression()),
        "forest": (columns("passthrough", coded), RandomForestClassifier(10, random_state=0)),
        "histogram": (columns("passthrough", coded), HistGradientBoostingClassifier(max_iter=5)),
    }[last]
    with threadpool_limits(1):
        model = make_pipeline(first, estimator).fit(frame, target)
        loaded = compiled(model, tmp_path / "model", frame)
        probes = others(frame)
        probes.loc[::7, "port"] = "a port nobody saw"
        if loaded.predictor.verdict.finite_only is False:  # type: ignore[attr-defined]
            probes.loc[::5, "age"] = np.nan
        expected = model.predict(probes)
    given = {name: probes[name].tolist() for name in loaded.predictor.verdict.columns}  # type: ignore[attr-defined]
    np.testing.assert_allclose(loaded.predictor.answer_columns(given), expected, rtol=1e-9)  # type: ignore[attr-defined]
    np.testing.assert_allclose(loaded.predict(probes), expected, rtol=1e-9)
    named = probes[probes.columns[::-1]].astype(object).where(probes[probes.columns[::-1]].notna(), None)
    np.testing.assert_allclose(loaded.predict_rows(named.to_numpy().tolist(), list(named)), expected, rtol=1e-9)


def test_a_category_that_the_original_refuses_is_refused_by_the_original(tmp_path: Path, passengers: Any) -> None:
    frame, target = passengers
    model = make_pipeline(columns(StandardScaler(), OneHotEncoder()), LogisticRegression()).fit(frame, target)
    loaded = compiled(model, tmp_path / "model", frame)
    assert loaded.predictor.verdict.known == {"port": ("lima", "oslo", "rome"), "sex": ("f", "m")}  # type: ignore[attr-defined]
    unseen = frame[:1].assign(port="paris")
    with pytest.raises(ModelFailed, match="unknown categories"):
        loaded.predict(unseen)
    with pytest.raises(ModelFailed, match="unknown categories"):
        loaded.predict_rows(unseen.to_numpy().tolist(), list(unseen))
    with pytest.raises(ModelFailed, match="NaN"):
        loaded.predict(frame[:1].assign(age=np.nan))


def test_free_text_is_refused_with_the_reason(tmp_path: Path, passengers: Any) -> None:
    frame, target = passengers
    first = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("words", CountVectorizer(), "note")])
    folder = save_model(
        make_pipeline(first, LogisticRegression(max_iter=5000)).fit(frame, target),
        tmp_path / "model",
        input_example=frame[:5],
        pip_requirements=[],
    )
    assert "'note' is text that no encoder turns into categories" in str(optimize(folder).reason)
