from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from penstock.ground.errors import EnvironmentMismatch, ModelFolderInvalid
from penstock.models.folder import read_model_folder
from penstock.models.load import load_model
from penstock.models.schema import Column, DataType

# Written by those releases of MLflow themselves: the same classifier of iris.
FOLDERS = Path(__file__).parent / "folders"
PICKLED = ("mlflow-1.2.0", "mlflow-1.30.1", "mlflow-2.22.5", "mlflow-3.17.2")


@pytest.mark.parametrize("name", [*PICKLED, "mlflow-3.17.2-skops"])
def test_what_mlflow_wrote_comes_back_byte_for_byte(name: str) -> None:
    folder = read_model_folder(FOLDERS / name)
    assert folder.document.to_yaml() == (FOLDERS / name / "MLmodel").read_text()
    assert folder.python_version == "3.11.7"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")  # old pickles name numpy's modules as they were
@pytest.mark.parametrize("name", PICKLED)
def test_every_generation_of_mlflow_is_loaded(name: str) -> None:
    answer = load_model(FOLDERS / name).predict_rows([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
    np.testing.assert_array_equal(answer, [0, 2])


def test_signature_and_example_of_each_generation() -> None:
    for name in PICKLED[1:]:
        folder = read_model_folder(FOLDERS / name)
        assert folder.signature is not None
        assert folder.signature.inputs is not None
        assert folder.signature.inputs.columns[0] == Column(DataType.DOUBLE, "sepal length (cm)")
        example = folder.input_example()
        assert example is not None
        assert example.rows()[0] == [5.1, 3.5, 1.4, 0.2]


def test_requirements_come_from_either_file_and_serving_leaves_mlflow_out() -> None:
    assert read_model_folder(FOLDERS / "mlflow-1.2.0").requirements() == (
        "scikit-learn==1.9.1", "mlflow", "cloudpickle==3.1.2",
    )  # fmt: skip
    newest = read_model_folder(FOLDERS / "mlflow-3.17.2")
    assert newest.requirements() == ("mlflow==3.17.2", "scikit-learn")
    assert newest.serving_requirements() == ("scikit-learn",)


def test_unknown_fields_survive(tmp_path: Path) -> None:
    text = 'flavors:\n  python_function:\n    loader_module: x\nzukunft:\n- 1\n- a: "\\xFC"\n'
    (tmp_path / "MLmodel").write_text(text, encoding="utf-8")
    document = read_model_folder(tmp_path).document
    assert document.to_yaml() == text
    changed = document.with_fields(run_id="abc")
    assert yaml.safe_load(changed.to_yaml())["zukunft"] == [1, {"a": "\u00fc"}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "holds no MLmodel"),
        ("flavors: [", "not YAML"),
        ("hello", "names no flavors"),
        ("flavors:\n  sklearn: 3\n", "names no flavors"),
        ("flavors: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, content: str | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "MLmodel").write_text(content)
    with pytest.raises(ModelFolderInvalid, match=problem):
        read_model_folder(tmp_path)


@pytest.mark.parametrize("outside", ["../secret.pkl", "/etc/passwd", "linked.pkl", "a/../../secret.pkl"])
def test_paths_inside_mlmodel_cannot_leave_the_folder(tmp_path: Path, outside: str) -> None:
    (tmp_path / "secret.pkl").write_bytes(b"")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "linked.pkl").symlink_to(tmp_path / "secret.pkl")
    table = {"flavors": {"sklearn": {"pickled_model": outside, "serialization_format": "pickle"}}}
    (folder / "MLmodel").write_text(yaml.safe_dump(table))
    with pytest.raises(ModelFolderInvalid, match="outside its folder"):
        load_model(folder)


def test_a_file_that_mlmodel_names_and_nobody_copied_is_named(tmp_path: Path) -> None:
    shutil.copytree(FOLDERS / "mlflow-3.17.2", tmp_path / "model")
    (tmp_path / "model" / "model.pkl").unlink()
    with pytest.raises(ModelFolderInvalid, match=r"'model\.pkl', which is not in"):
        load_model(tmp_path / "model")


def test_a_flavor_nobody_knows_is_named(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  crystal_ball: {}\n")
    with pytest.raises(EnvironmentMismatch, match="crystal_ball"):
        load_model(tmp_path)
