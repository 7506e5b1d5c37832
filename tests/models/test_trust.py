from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.ground.errors import Forbidden, InvalidInput
from penstock.models.folder import read_model_folder
from penstock.models.load import load_model
from penstock.models.trust import DATA_ONLY, TRUSTED, Trust, trust_from

FOLDERS = Path(__file__).parent / "folders"


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (Path.touch, (self.file,))


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    table = {"flavors": {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"}}}
    (folder / "MLmodel").write_text(yaml.safe_dump(table))
    return folder


def test_inspecting_a_folder_runs_nothing(bomb: Path) -> None:
    folder = read_model_folder(bomb)
    assert (folder.signature, folder.requirements(), folder.python_version, folder.input_example()) == (
        None,
        (),
        None,
        None,
    )
    assert not (bomb.parent / "ran").exists()


def test_without_trust_in_its_code_a_pickle_is_refused_before_it_is_opened(bomb: Path) -> None:
    with pytest.raises(Forbidden, match="runs code that the model folder brings"):
        load_model(bomb, trust=DATA_ONLY)
    assert not (bomb.parent / "ran").exists()


def test_whoever_loads_without_saying_obeys_the_environment(bomb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TRUST", "data")
    with pytest.raises(Forbidden, match="--trust code"):
        load_model(bomb)
    assert not (bomb.parent / "ran").exists()


def test_a_code_directory_is_code_too(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    table = {"flavors": {"python_function": {"loader_module": "mine", "code": "code"}}}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(table))
    with pytest.raises(Forbidden, match="code/ directory"):
        load_model(tmp_path, trust=DATA_ONLY)


def test_the_environment_chooses_the_policy() -> None:
    assert trust_from({}) == TRUSTED
    assert trust_from({"PENSTOCK_TRUST": "data"}) == DATA_ONLY
    assert trust_from({"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "False"}) == DATA_ONLY
    assert trust_from({"PENSTOCK_TRUST": "code", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}) == TRUSTED
    with pytest.raises(InvalidInput, match="'code' or 'data'"):
        trust_from({"PENSTOCK_TRUST": "yes"})


def test_skops_builds_only_what_the_caller_vouches_for(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    folder = tmp_path / "model"
    folder.mkdir()
    from sklearn.preprocessing import FunctionTransformer

    skops.dump(FunctionTransformer(func=yaml.safe_load), folder / "model.skops")
    claims = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "skops_trusted_types": ["yaml.safe_load"],
    }
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": claims}}))
    with pytest.raises(Forbidden, match=r"yaml\.safe_load"):
        load_model(folder, trust=DATA_ONLY)
    types = tuple(skops.get_untrusted_types(file=folder / "model.skops"))
    assert load_model(folder, trust=Trust(code=False, types=types)).predictor.native.func is yaml.safe_load
