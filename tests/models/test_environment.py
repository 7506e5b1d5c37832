from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from images.making import make_wheel
from penstock.ground.errors import InvalidInput
from penstock.images.target import Target
from penstock.images.wheels.fetch import fetch
from penstock.images.wheels.resolve import resolve_now
from penstock.models.distributions import find_distribution
from penstock.models.environment import capture_environment
from penstock.models.pack import save_model


def names(requirements: tuple[str, ...]) -> set[str]:
    return {line.partition("==")[0] for line in requirements}


def test_a_plain_sklearn_model_needs_sklearn_and_what_it_ran_with(
    tmp_path: Path, iris: tuple[Any, Any], classifier: LogisticRegression
) -> None:
    folder = save_model(classifier, tmp_path / "model", input_example=iris[0][:2])
    found = names(folder.requirements())
    assert {"scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl", "cloudpickle"} <= found
    assert found.isdisjoint({"pytest", "rich", "pandas", "mlflow", "penstock", "matplotlib"})
    assert f"numpy=={np.__version__}" in folder.requirements()
    assert folder.python_version == platform.python_version()
    conda = yaml.safe_load((folder.path / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == list(folder.requirements())
    env = yaml.safe_load((folder.path / "python_env.yaml").read_text())
    assert env["dependencies"] == ["-r requirements.txt"]


def test_a_distribution_is_found_by_its_module() -> None:
    for module, name in [("sklearn", "scikit-learn"), ("yaml", "PyYAML"), ("numpy", "numpy"), ("six", "six")]:
        found = find_distribution(module)
        assert found is not None
        assert found.name == name
    assert find_distribution("json") is None
    assert find_distribution("no_such_module") is None


def test_given_requirements_replace_and_extra_ones_add() -> None:
    modules = frozenset({"numpy"})
    given = capture_environment(modules, pip_requirements=["a==1", "# comment", "b"], extra_pip_requirements=["b==2"])
    assert given.requirements == ("a==1", "b==2")
    extra = capture_environment(modules, extra_pip_requirements=["./wheels/mine-1.0-py3-none-any.whl"])
    assert extra.requirements == (f"numpy=={np.__version__}", "./wheels/mine-1.0-py3-none-any.whl")


def test_a_local_wheel_travels_with_the_model_into_the_images_lock(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "built", "mine")
    folder = save_model(abs, tmp_path / "model", signature=False, pip_requirements=["six", str(wheel)])
    assert folder.requirements() == ("six", f"wheels/{wheel.name}")
    assert (folder.path / "wheels" / wheel.name).read_bytes() == wheel.read_bytes()
    (line,) = [line for line in folder.serving_requirements() if "mine" in line]
    assert line == f"mine @ {(folder.path / 'wheels' / wheel.name).resolve().as_uri()}"
    lock = resolve_now([line], Target("3.11"), environment={**os.environ, "UV_NO_INDEX": "1"})
    assert [(each.name, each.filename) for each in lock.wheels] == [("mine", wheel.name)]
    assert fetch(lock, cache_dir=tmp_path / "cache")["mine"].read_bytes() == wheel.read_bytes()
    with pytest.raises(InvalidInput, match="does not exist"):
        save_model(abs, tmp_path / "other", signature=False, pip_requirements=["./no-1.0-py3-none-any.whl"])


def test_requirements_may_be_a_file_with_index_lines(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("--extra-index-url https://wheels.example.test/simple  # ours\n\nmine==1.0\n")
    found = capture_environment(frozenset(), pip_requirements=file)
    assert found.requirements == ("--extra-index-url https://wheels.example.test/simple", "mine==1.0")
    with pytest.raises(InvalidInput, match="no requirements file"):
        capture_environment(frozenset(), pip_requirements=tmp_path / "none.txt")


def test_local_modules_are_warned_about_unless_they_travel_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_steps.py").write_text("import yaml\n\ndef step(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    step = __import__("my_steps").step
    with pytest.warns(UserWarning, match=r"'my_steps', which no installed distribution provides\. Pass code_paths"):
        save_model(step, tmp_path / "without", signature=False)
    folder = save_model(step, tmp_path / "with", signature=False, code_paths=[tmp_path / "my_steps.py"])
    assert names(folder.requirements()) == {"cloudpickle", "PyYAML"}
    assert (folder.path / "code" / "my_steps.py").is_file()
    sys.modules.pop("my_steps")
