from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from penstock.ground.errors import InvalidInput, ModelFailed, ModelFolderInvalid
from penstock.models.load import load_model
from penstock.models.pack import save_model
from penstock.models.python_model import PythonModel


class Scaled(PythonModel):
    """Multiplies by the number in its artifact and by a parameter, after adding what its configuration says."""

    def load_context(self, context: Any) -> None:
        self.factor = float(Path(context.artifacts["factor"]).read_text())

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        times = params["times"] if params else 1.0
        return (model_input.to_numpy() + context.model_config["plus"]) * self.factor * times


@pytest.fixture
def factor(tmp_path: Path) -> Path:
    (tmp_path / "factor.txt").write_text("2.0")
    return tmp_path / "factor.txt"


def test_a_class_with_artifacts_configuration_and_params(tmp_path: Path, factor: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    folder = save_model(
        Scaled(),
        tmp_path / "model",
        artifacts={"factor": factor},
        model_config={"plus": 1},
        input_example=(frame, {"times": 10.0}),
        code_paths=[Path(__file__)],
    )
    factor.unlink()
    model = load_model(folder.path)
    np.testing.assert_array_equal(model.predict(frame), [[40.0], [60.0]])
    np.testing.assert_array_equal(model.predict_rows([[1]], ["x"], {"times": 1}), [[4.0]])
    assert any(line.startswith("pandas==") for line in folder.requirements())
    assert not any(line.startswith(("penstock", "mlflow")) for line in folder.requirements())


def test_a_function_gets_the_list_it_declares(tmp_path: Path) -> None:
    def shout(texts: list[str]) -> list[str]:
        return [text.upper() for text in texts]

    save_model(shout, tmp_path / "model", input_example=["a", "b"])
    assert load_model(tmp_path / "model").predict(["hello"]) == ["HELLO"]


def test_what_a_notebook_function_imports_inside_is_a_requirement(tmp_path: Path) -> None:
    def late(model_input: Any) -> Any:
        import yaml

        return yaml.safe_load("1")

    folder = save_model(late, tmp_path / "model", signature=False)
    assert [line.partition("==")[0] for line in folder.requirements()] == ["cloudpickle", "PyYAML"]


def test_a_code_file_is_the_model(tmp_path: Path) -> None:
    source = tmp_path / "half.py"
    source.write_text(
        "from penstock.models.python_model import PythonModel, set_model\n"
        "class Half(PythonModel):\n"
        "    def predict(self, model_input):\n"
        "        return model_input / 2\n"
        "set_model(Half())\n"
    )
    folder = save_model(source, tmp_path / "model", input_example=np.array([[2.0]]))
    source.unlink()
    assert load_model(folder.path).predict(np.array([[3.0]])) == [[1.5]]


def test_a_code_file_that_names_no_model_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "nothing.py"
    source.write_text("x = 1\n")
    folder = save_model(source, tmp_path / "model", signature=False)
    with pytest.raises(ModelFolderInvalid, match="set_model"):
        load_model(folder.path)


def test_what_the_model_raises_is_told_apart_from_bad_input(tmp_path: Path) -> None:
    def broken(model_input: Any) -> Any:
        raise KeyError("lost")

    save_model(broken, tmp_path / "model", signature=False)
    with pytest.raises(ModelFailed, match="KeyError: 'lost'"):
        load_model(tmp_path / "model").predict([1])


def test_a_missing_artifact_and_an_unknown_option_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'weights'.*does not exist"):
        save_model(Scaled(), tmp_path / "model", artifacts={"weights": tmp_path / "none"}, signature=False)
    with pytest.raises(InvalidInput, match="no option"):
        save_model(Scaled(), tmp_path / "model", artefacts={}, signature=False)
    assert not (tmp_path / "model").exists()
