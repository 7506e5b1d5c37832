from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.ground.errors import AlreadyExists, InvalidInput
from penstock.models.load import load_model
from penstock.models.pack import save_model


def test_saved_and_loaded_it_predicts_the_same_from_frames_arrays_and_rows(
    tmp_path: Path, iris: tuple[Any, Any], classifier: LogisticRegression
) -> None:
    features = iris[0]
    save_model(classifier, tmp_path / "model", input_example=features[:3])
    model = load_model(tmp_path / "model")
    expected = classifier.predict(features)
    np.testing.assert_array_equal(model.predict(features), expected)
    np.testing.assert_array_equal(model.predict(features.to_numpy()), expected)
    np.testing.assert_array_equal(model.predict_array(features.to_numpy()), expected)
    np.testing.assert_array_equal(model.predict_rows(features.values.tolist()), expected)
    shuffled = features[features.columns[::-1]]
    np.testing.assert_array_equal(model.predict(shuffled), expected)
    np.testing.assert_array_equal(model.predict_rows(shuffled.values.tolist(), list(shuffled.columns)), expected)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
        VotingClassifier([("a", LogisticRegression(max_iter=500)), ("b", RandomForestClassifier(n_estimators=5))]),
        GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=2),
    ],
    ids=["pipeline", "voting", "search"],
)
def test_named_columns_inside_meta_estimators_still_allow_arrays(
    tmp_path: Path, iris: tuple[Any, Any], estimator: Any
) -> None:
    features, species = iris
    estimator.fit(features, species)
    save_model(estimator, tmp_path / "model", input_example=features[:3])
    model = load_model(tmp_path / "model")
    assert model.array_dtype == np.float64
    np.testing.assert_array_equal(model.predict(features.to_numpy()), estimator.predict(features))
    assert hasattr(model.predictor.native, "feature_names_in_"), "the original keeps its names"


def test_a_column_transformer_gets_its_frame(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    features, species = iris
    chosen = ColumnTransformer([("scale", StandardScaler(), ["petal length (cm)"])])
    pipeline = make_pipeline(chosen, LogisticRegression()).fit(features, species)
    save_model(pipeline, tmp_path / "model", input_example=features[:3])
    model = load_model(tmp_path / "model")
    assert model.array_dtype is None
    np.testing.assert_array_equal(model.predict_rows(features.values.tolist()), pipeline.predict(features))


def test_other_methods_can_be_the_one_that_predicts(
    tmp_path: Path, iris: tuple[Any, Any], classifier: LogisticRegression
) -> None:
    save_model(classifier, tmp_path / "model", input_example=iris[0][:3], pyfunc_predict_fn="predict_proba")
    answer = load_model(tmp_path / "model").predict(iris[0])
    np.testing.assert_array_equal(answer, classifier.predict_proba(iris[0]))


def test_what_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path: Path, classifier: LogisticRegression) -> None:
    with pytest.raises(InvalidInput, match="no method 'predict'"):
        save_model(DBSCAN(), tmp_path / "model", signature=False)
    with pytest.raises(InvalidInput, match="no option"):
        save_model(classifier, tmp_path / "model", signature=False, serialisation_format="pickle")
    assert list(tmp_path.iterdir()) == []
    save_model(classifier, tmp_path / "model", signature=False)
    with pytest.raises(AlreadyExists):
        save_model(classifier, tmp_path / "model", signature=False)


def test_a_missing_signature_is_warned_about_with_the_way_to_add_it(
    tmp_path: Path, classifier: LogisticRegression
) -> None:
    with pytest.warns(UserWarning, match="Pass input_example"):
        save_model(classifier, tmp_path / "model")


def test_pandas_is_not_imported_beside_scikit_learn_and_can_be_later() -> None:
    """scikit-learn imports it and makes no use of it; a server of arrays starts a second sooner without."""
    code = """
import sys
import penstock.models.flavors.sklearn
from sklearn.linear_model import LogisticRegression
assert "pandas" not in sys.modules
import pandas
frame = pandas.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
print(LogisticRegression().fit(frame, [0, 1]).feature_names_in_.tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['a', 'b']\n"
