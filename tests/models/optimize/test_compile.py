from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from penstock.models.folder import ModelFolder, read_model_folder
from penstock.models.load import load_model
from penstock.models.optimize.attach import find_verdict
from penstock.models.optimize.compile import optimize
from penstock.models.optimize.predictor import OptimizedPredictor
from penstock.models.pack import save_model

pytest.importorskip("skl2onnx")


def saved(model: Any, path: Path, example: Any, **options: Any) -> ModelFolder:
    return save_model(model, path, input_example=example[:5], pip_requirements=[], **options)


def compiled(model: Any, path: Path, rows: Any, **options: Any) -> OptimizedPredictor:
    """The pair of both forms, after an accepted verdict on ``rows``."""
    verdict = optimize(saved(model, path, rows, **options), rows=rows)
    assert verdict.accepted, verdict.reason
    predictor = load_model(path).predictor
    assert isinstance(predictor, OptimizedPredictor)
    return predictor


def grids(rows: Any) -> Any:
    return np.random.default_rng(1).uniform(rows.min(axis=0) - 1, rows.max(axis=0) + 1, (500, rows.shape[1]))


@pytest.mark.parametrize("labels", ["whole", "float", "text", "truth"])
def test_labels_of_every_kind_come_back_as_they_were(tmp_path: Path, iris: tuple[Any, Any], labels: str) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    names = np.array(["setosa", "versicolor", "virginica"])[species]
    target = {"whole": species, "float": species.astype(float), "text": names, "truth": species == 1}[labels]
    model = make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)).fit(rows, target)
    both = compiled(model, tmp_path / "model", rows)
    probes = grids(rows)
    answer = both.compiled(probes)
    np.testing.assert_array_equal(answer, model.predict(probes))
    assert answer.dtype == model.predict(probes).dtype


def test_a_forests_ties_fall_as_they_fall_in_sklearn(tmp_path: Path) -> None:
    rows, target = make_classification(300, 6, random_state=0)
    model = RandomForestClassifier(20, random_state=0).fit(rows, target)
    probes = grids(rows)
    votes = np.sum([tree.predict(probes) for tree in model.estimators_], axis=0)
    assert (votes == 10).any(), "there are ties among these rows"
    both = compiled(model, tmp_path / "model", rows)
    np.testing.assert_array_equal(both.compiled(probes), model.predict(probes))
    missing = probes.copy()
    missing[:, 2] = np.nan
    np.testing.assert_array_equal(both.predict(missing), model.predict(missing))


def test_probabilities_and_numbers_agree_within_the_tolerance(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    forest = RandomForestClassifier(10, random_state=0).fit(rows, species)
    both = compiled(forest, tmp_path / "forest", rows, pyfunc_predict_fn="predict_proba")
    np.testing.assert_allclose(both.compiled(grids(rows)), forest.predict_proba(grids(rows)), atol=1e-5)
    for name, model in {"boosting": GradientBoostingRegressor(n_estimators=20), "line": LinearRegression()}.items():
        model.fit(rows, species)
        both = compiled(model, tmp_path / name, rows)
        np.testing.assert_allclose(both.compiled(grids(rows)), model.predict(grids(rows)), atol=3e-5)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_are_compiled(tmp_path: Path, iris: tuple[Any, Any], library: str) -> None:
    module = pytest.importorskip(library)
    kinds = {"lightgbm": ("LGBMClassifier", {"verbose": -1}), "xgboost": ("XGBClassifier", {})}
    kind, options = kinds[library]
    model = getattr(module, kind)(n_estimators=5, n_jobs=1, **options).fit(*iris)
    both = compiled(model, tmp_path / "model", iris[0])
    probes = grids(iris[0].to_numpy())
    np.testing.assert_array_equal(
        both.compiled(probes), load_model(tmp_path / "model").predictor.original.predict(probes)
    )  # type: ignore[attr-defined]


def test_what_is_not_the_same_is_refused_with_the_reason(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    neighbours = KNeighborsClassifier().fit(np.repeat(rows, 2, axis=0), np.repeat(species, 2))
    verdict = optimize(saved(neighbours, tmp_path / "neighbours", rows), rows=rows)
    folder = read_model_folder(tmp_path / "neighbours")
    if not verdict.accepted:
        assert "differ" in str(verdict.reason)
        assert not (folder.path / "optimized").exists()
    assert find_verdict(folder) == verdict, "the verdict is kept, whichever way it fell"


def trees(library: str) -> tuple[Any, Any, Any]:
    """A model that was trained with missing values where it can be, its rows, and whether it takes them."""
    rows, target = make_classification(400, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0)
    holes = rows.copy()
    holes[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
    number = rows[:, 0] + rows[:, 1] * rows[:, 2]
    if library.startswith("lightgbm"):
        kind = getattr(pytest.importorskip("lightgbm"), library.partition(".")[2])
        model = kind(n_estimators=10, n_jobs=1, verbose=-1)
        return model.fit(holes, target if "Classifier" in library else number), rows, True
    if library.startswith("xgboost"):
        kind = getattr(pytest.importorskip("xgboost"), library.partition(".")[2])
        labels = {"XGBClassifier": target, "XGBRFClassifier": target == 1}.get(kind.__name__, number)
        options = {"early_stopping_rounds": 2} if kind.__name__ == "XGBRegressor" else {}
        return (
            kind(n_estimators=10, n_jobs=1, **options).fit(
                holes, labels, **({"eval_set": [(holes[::-1], number)], "verbose": False} if options else {})
            ),
            rows,
            True,
        )
    return {
        "histogram": lambda: (HistGradientBoostingClassifier(max_iter=10).fit(holes, target), rows, True),
        "histogram of two": lambda: (HistGradientBoostingClassifier(max_iter=10).fit(rows, target == 1), rows, True),
        "histogram of counts": lambda: (
            HistGradientBoostingRegressor(max_iter=10, loss="poisson").fit(holes, np.abs(number)), rows, True
        ),
        "stages": lambda: (GradientBoostingClassifier(n_estimators=10).fit(rows, target), rows, False),
        "stages of two": lambda: (
            GradientBoostingClassifier(n_estimators=10, loss="exponential").fit(rows, target == 1), rows, False
        ),
        "forest": lambda: (RandomForestRegressor(10, random_state=0).fit(holes, number), rows, True),
        "one leaf": lambda: (HistGradientBoostingRegressor(max_iter=3).fit(rows[:30], number[:30]), rows, True),
    }[library]()  # fmt: skip


@pytest.fixture
def one_thread() -> Iterator[None]:
    """OpenMP's threads wait for each other, which takes a second a call where several tests share the cores."""
    with threadpool_limits(1):
        yield


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("library", "method"),
    [
        ("histogram", "predict_proba"), ("histogram of two", "predict"), ("histogram of counts", "predict"),
        ("stages", "predict"), ("stages of two", "predict_proba"), ("forest", "predict"), ("one leaf", "predict"),
        ("lightgbm.LGBMClassifier", "predict"), ("lightgbm.LGBMRegressor", "predict"),
        ("xgboost.XGBClassifier", "predict"), ("xgboost.XGBRegressor", "predict"),
        ("xgboost.XGBRFClassifier", "predict"),
    ],
)  # fmt: skip
def test_trees_add_up_as_the_original_does(tmp_path: Path, library: str, method: str) -> None:
    model, rows, takes_missing = trees(library)
    options = {} if "." in library else {"pyfunc_predict_fn": method}
    both = compiled(model, tmp_path / "model", rows, **options)
    assert (both.verdict.precision, both.verdict.finite_only) == ("double", not takes_missing)
    probes = grids(rows)
    if takes_missing:
        probes[::2, 1] = np.nan
        probes[::3, 4] = np.nan
    np.testing.assert_allclose(
        both.compiled(probes), getattr(model, method)(probes), rtol=1e-6 if "xgb" in library else 1e-12
    )


def test_a_cut_between_two_floats_keeps_its_side(tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    column = np.repeat(0.1 + np.arange(40) * 1e-9, 10)  # neighbours in double, equal in float32
    rows = np.column_stack([column, np.zeros(len(column))])
    model = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=1, n_jobs=1, verbose=-1).fit(rows, column * 1e9)
    both = compiled(model, tmp_path / "model", rows)
    assert len(np.unique(model.predict(rows))) > 2
    np.testing.assert_allclose(both.compiled(rows), model.predict(rows), rtol=1e-12)


def test_what_takes_frames_or_has_no_example_is_refused(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    def total(model_input: Any) -> Any:
        return model_input.sum(axis=1)

    folder = save_model(total, tmp_path / "function", input_example=iris[0][:2])
    assert "Only estimators" in str(optimize(folder).reason)
    folder = save_model(LogisticRegression(max_iter=300).fit(*iris), tmp_path / "bare", signature=False)
    assert not optimize(folder).accepted


def test_the_original_answers_what_was_not_proven(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    model = LogisticRegression(max_iter=300).fit(rows, species)
    both = compiled(model, tmp_path / "model", rows)
    assert both.verdict.finite_only
    for value in (np.nan, np.inf, 1e40):
        odd = rows[:1].copy()
        odd[0, 0] = value
        if np.isfinite(value):
            np.testing.assert_array_equal(both.predict(odd), model.predict(odd))
        else:
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                both.predict(odd)


def test_the_batch_size_chooses_the_form(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    both = compiled(LogisticRegression(max_iter=300).fit(rows, species), tmp_path / "model", rows)
    asked: list[str] = []

    class Spy:
        takes_arrays, native = True, None

        def predict(self, data: Any, params: Any = None) -> Any:
            asked.append("original")
            return both.original.predict(data)

    import msgspec

    small = OptimizedPredictor(Spy(), both.compiled, msgspec.structs.replace(both.verdict, max_rows=8))
    small.predict(rows[:8])
    assert asked == []
    small.predict(rows[:9])
    assert asked == ["original"]


def test_a_compiled_form_of_other_files_is_left_out(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    compiled(LogisticRegression(max_iter=300).fit(rows, species), tmp_path / "model", rows)
    other = saved(LogisticRegression(max_iter=300).fit(rows, species == 1), tmp_path / "other", rows)
    (tmp_path / "model" / "model.pkl").write_bytes((other.path / "model.pkl").read_bytes())
    with pytest.warns(UserWarning, match="files have changed"):
        model = load_model(tmp_path / "model")
    assert not isinstance(model.predictor, OptimizedPredictor)


def test_serving_needs_the_compiled_forms_runtime_too(tmp_path: Path, iris: tuple[Any, Any]) -> None:
    rows, species = iris[0].to_numpy(), iris[1].to_numpy()
    compiled(LogisticRegression(max_iter=300).fit(rows, species), tmp_path / "model", rows)
    folder = read_model_folder(tmp_path / "model")
    assert any(line.startswith("onnxruntime==") for line in folder.serving_requirements())
    assert folder.requirements() == ()
