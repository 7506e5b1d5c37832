"""Real model folders, and the real program serving them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from penstock.models.folder import read_model_folder
from penstock.models.optimize.compile import optimize
from penstock.models.pack import save_model
from penstock.models.signature import infer_signature
from serving.served import Served


@pytest.fixture(scope="session")
def iris_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logistic regression of iris with signature and input example."""
    features, target = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    folder = tmp_path_factory.mktemp("models") / "iris"
    signature = infer_signature(features, model.predict(features))
    save_model(model, folder, signature=signature, input_example=features.head(3))
    return folder


@pytest.fixture(scope="session")
def compiled_iris_folder(iris_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a proven compiled form."""
    folder = tmp_path_factory.mktemp("models") / "compiled"
    shutil.copytree(iris_folder, folder)
    verdict = optimize(read_model_folder(folder))
    assert verdict.accepted, verdict.reason
    return folder


@pytest.fixture(scope="session")
def iris(iris_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The iris model, served; one process for all tests that only ask."""
    with Served(iris_folder, tmp_path_factory.mktemp("log") / "iris.log") as served:
        yield served.wait_ready()
        assert served.stop() == 0


@pytest.fixture(scope="session")
def tricky_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two numbers a row that imports nothing but numpy; see tricky_model.py for what it can be asked."""
    folder = tmp_path_factory.mktemp("models") / "tricky"
    data = np.array([[1.0, 2.0]])
    signature = infer_signature(data, np.array([3.0]), {"scale": 1.0})
    save_model(str(Path(__file__).with_name("tricky_model.py")), folder, flavor="python_function", signature=signature)
    return folder


@pytest.fixture
def serve_folder(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Gives ``serve_folder(folder, *arguments, environment=...)``: a process of the test's own, not awaited."""
    started: list[Served] = []

    def start(folder: Path | None, *arguments: str, **options: Any) -> Served:
        started.append(Served(folder, tmp_path / f"serve-{len(started)}.log", *arguments, **options))
        return started[-1]

    yield start
    for served in started:
        served.stop()
