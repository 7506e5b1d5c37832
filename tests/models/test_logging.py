from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.ground.errors import InvalidInput


@pytest.fixture
def tracking(tmp_path: Path, state_dir: Path) -> str:
    """A fresh tracking store, set as the one in force."""
    uri = f"sqlite:///{tmp_path / 'tracking.db'}"
    penstock.set_tracking_uri(uri)
    penstock.set_experiment("models")
    return uri


def test_a_logged_model_is_registered_found_by_alias_and_answers(
    tracking: str, iris: tuple[Any, Any], classifier: LogisticRegression
) -> None:
    with penstock.start_run() as run:
        info = penstock.log_model(classifier, "flowers", input_example=iris[0][:2], registered_model_name="iris")
    penstock.set_registered_model_alias("iris", "champion", 1)
    model = penstock.load_model("models:/iris@champion")
    np.testing.assert_array_equal(model.predict(iris[0]), classifier.predict(iris[0]))
    assert (info.registered_version, info.run_id) == (1, run.info.run_id)
    document = model.folder.document
    assert (document.model_id, document.run_id) == (info.model_id, run.info.run_id)


def test_a_flavors_own_functions_give_and_take_the_librarys_object(
    tracking: str, iris: tuple[Any, Any], classifier: LogisticRegression
) -> None:
    with penstock.start_run():
        info = penstock.sklearn.log_model(sk_model=classifier, name="flowers", signature=False)
    assert isinstance(penstock.sklearn.load_model(info.model_uri), LogisticRegression)
    assert penstock.pyfunc.load_model(info.model_uri).predict_rows([[5.1, 3.5, 1.4, 0.2]]).tolist() == [0]


def test_a_model_that_cannot_be_saved_is_not_logged(tracking: str) -> None:
    with penstock.start_run() as run, pytest.raises(InvalidInput, match="No flavor takes"):
        penstock.log_model(object(), "nothing")
    client = penstock.MlflowClient(tracking)
    assert list(client.search_logged_models([run.info.experiment_id])) == []
