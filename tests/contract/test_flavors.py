"""One contract for every flavor: what is saved is whole, loads, answers the same, and asks for what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Struct
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from penstock.ground.errors import Forbidden, InvalidInput
from penstock.models.flavors.table import BUILT_IN, flavor_of_folder, flavor_of_model, get_flavor, list_flavors
from penstock.models.inference import as_array
from penstock.models.load import load_model
from penstock.models.pack import save_model
from penstock.models.trust import DATA_ONLY

# TensorFlow's tensors meet numpy 2 this way, inside Keras.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
FEATURES, SPECIES = load_iris(return_X_y=True, as_frame=True)


class Case(Struct, frozen=True):
    """A real model of a flavor, an example of its input, what the library itself answers, and what it needs."""

    flavor: str
    model: Any
    example: Any
    expected: Any
    library: str
    data_only: bool = False


def sklearn_estimator() -> Case:
    model = LogisticRegression(max_iter=200).fit(FEATURES, SPECIES)
    return Case("sklearn", model, FEATURES, model.predict(FEATURES), "scikit-learn")


def python_function() -> Case:
    def total(model_input: Any) -> Any:
        return model_input.sum(axis=1).to_numpy()

    return Case("python_function", total, FEATURES, FEATURES.sum(axis=1).to_numpy(), "cloudpickle")


def xgboost_booster() -> Case:
    xgboost = pytest.importorskip("xgboost")
    data = xgboost.DMatrix(FEATURES, SPECIES)
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, 3)
    return Case("xgboost", model, FEATURES, model.predict(data), "xgboost", data_only=True)


def xgboost_classifier() -> Case:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=3).fit(FEATURES, SPECIES)
    return Case("xgboost", model, FEATURES, model.predict(FEATURES), "xgboost", data_only=True)


def lightgbm_booster() -> Case:
    lightgbm = pytest.importorskip("lightgbm")
    params = {"objective": "multiclass", "num_class": 3, "verbose": -1}
    model = lightgbm.train(params, lightgbm.Dataset(FEATURES, SPECIES), 3)
    return Case("lightgbm", model, FEATURES, model.predict(FEATURES), "lightgbm", data_only=True)


def lightgbm_classifier() -> Case:
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(FEATURES, SPECIES)
    return Case("lightgbm", model, FEATURES, model.predict(FEATURES), "lightgbm")


def onnx_graph() -> Case:
    skl2onnx = pytest.importorskip("skl2onnx")
    rows = FEATURES.to_numpy().astype(np.float32)
    estimator = LogisticRegression(max_iter=200).fit(rows, SPECIES)
    model = skl2onnx.to_onnx(estimator, rows[:1], options={"zipmap": False})
    return Case("onnx", model, rows, {"label": estimator.predict(rows)}, "onnxruntime", data_only=True)


def pytorch_module() -> Case:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.Dropout(), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    ).eval()
    rows = FEATURES.to_numpy().astype(np.float32)
    return Case("pytorch", model, rows, model(torch.from_numpy(rows)).detach().numpy(), "torch")


def keras_model() -> Case:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    rows = FEATURES.to_numpy().astype(np.float32)
    return Case("keras", model, rows, as_array(model(rows)), "keras", data_only=True)


def tensorflow_module() -> Case:
    tensorflow = pytest.importorskip("tensorflow")

    class Total(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 4], tensorflow.float32)])
        def __call__(self, rows: Any) -> Any:
            return tensorflow.reduce_sum(rows, axis=1)

    rows = FEATURES.to_numpy().astype(np.float32)
    return Case("tensorflow", Total(), rows, rows.sum(axis=1), "tensorflow")


CASES: dict[str, Callable[[], Case]] = {
    make.__name__: make
    for make in (
        sklearn_estimator,
        python_function,
        xgboost_booster,
        xgboost_classifier,
        lightgbm_booster,
        lightgbm_classifier,
        onnx_graph,
        pytorch_module,
        keras_model,
        tensorflow_module,
    )
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def agree(answer: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        for name, value in expected.items():
            agree(answer[name], value)
    else:
        np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-6)


def test_every_flavor_of_the_table_has_a_case() -> None:
    covered = {name.partition("_")[0] for name in CASES} | {"python_function"}
    assert covered >= {entry.name for entry in BUILT_IN}


def test_it_is_recognised_saved_loaded_and_answers_the_same(case: Case, tmp_path: Path) -> None:
    assert flavor_of_model(case.model) == case.flavor
    folder = save_model(case.model, tmp_path / "model", input_example=case.example[:3])
    assert flavor_of_folder(folder.document) == case.flavor
    model = load_model(folder.path)
    agree(model.predict(case.example), case.expected)
    assert model.signature is not None
    assert model.signature.outputs is not None


def test_rows_arrays_and_frames_agree(case: Case, tmp_path: Path) -> None:
    save_model(case.model, tmp_path / "model", input_example=case.example[:3])
    model = load_model(tmp_path / "model")
    rows = np.asarray(case.example)
    agree(model.predict_rows(rows.tolist()), case.expected)
    if model.array_dtype is not None:
        agree(model.predict_array(rows.astype(model.array_dtype)), case.expected)
    if isinstance(case.example, pd.DataFrame):
        named = case.example[case.example.columns[::-1]]
        agree(model.predict_rows(named.to_numpy().tolist(), list(named.columns)), case.expected)


def test_it_asks_for_its_library_and_for_nothing_that_merely_is_installed(case: Case, tmp_path: Path) -> None:
    folder = save_model(case.model, tmp_path / "model", input_example=case.example[:3])
    names = {line.partition("==")[0] for line in folder.requirements()}
    # tensorflow comes as tensorflow-cpu as well.
    assert any(name == case.library or name == f"{case.library}-cpu" for name in (n.replace("_", "-") for n in names))
    assert names.isdisjoint({"pytest", "mypy", "mlflow", "penstock", "moto", "boto3"})
    assert "rich" not in names or case.flavor in ("keras", "tensorflow"), "only Keras itself prints with rich"
    takes_frames = case.flavor == "python_function"
    assert ("pandas" in names) == takes_frames


def test_code_is_run_only_with_trust(case: Case, tmp_path: Path) -> None:
    save_model(case.model, tmp_path / "model", signature=False)
    if case.data_only:
        agree(load_model(tmp_path / "model", trust=DATA_ONLY).predict(case.example), case.expected)
    else:
        with pytest.raises(Forbidden):
            load_model(tmp_path / "model", trust=DATA_ONLY)


def test_a_wrong_model_or_option_is_refused_and_leaves_nothing(case: Case, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no option 'colour'"):
        save_model(case.model, tmp_path / "model", flavor=case.flavor, colour="red", signature=False)
    with pytest.raises(InvalidInput):
        save_model(object(), tmp_path / "model", flavor=case.flavor, signature=False)
    assert list(tmp_path.iterdir()) == []


def test_a_third_partys_flavor_comes_in_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site"
    (package / "crystal-1.0.dist-info").mkdir(parents=True)
    (package / "crystal-1.0.dist-info" / "entry_points.txt").write_text(
        "[penstock.flavors]\ncrystal = crystal_flavor\n"
    )
    (package / "crystal-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: crystal\nVersion: 1.0\n")
    (package / "crystal_flavor.py").write_text(CRYSTAL)
    monkeypatch.syspath_prepend(str(package))
    list_flavors.cache_clear()
    try:
        import crystal_flavor

        save_model(crystal_flavor.Ball(7), tmp_path / "model", input_example=np.zeros((1, 2)), pip_requirements=[])
        assert load_model(tmp_path / "model").predict(np.zeros((2, 2))) == [7, 7]
        assert get_flavor("crystal").name == "crystal"
    finally:
        monkeypatch.undo()
        list_flavors.cache_clear()


CRYSTAL = """
from penstock.models.flavors.protocol import Saved

ROOTS = ("crystal_flavor",)

class Ball:
    def __init__(self, number):
        self.number = number

class Predictor:
    takes_arrays = True
    def __init__(self, ball):
        self.native = ball
    def predict(self, data, params=None):
        return [self.native.number] * len(data)

class Flavor:
    name = "crystal"
    def save(self, model, packing):
        (packing.folder / "number.txt").write_text(str(model.number))
        return Saved(config={"data": "number.txt"}, python_function={}, modules=frozenset(), takes_arrays=True)
    def load(self, folder, trust):
        return Predictor(Ball(int(folder.file(folder.document.flavors["crystal"]["data"]).read_text())))

FLAVOR = Flavor()
"""
