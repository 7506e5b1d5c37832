from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.ground.errors import InvalidInput


@pytest.fixture
def client(tmp_path: Path, state_dir: Path) -> Iterator[Any]:
    """A client of a fresh tracking store; autologging is off again afterwards."""
    uri = f"sqlite:///{tmp_path / 'tracking.db'}"
    penstock.set_tracking_uri(uri)
    penstock.set_experiment("autolog")
    yield penstock.MlflowClient(uri)
    penstock.autolog(disable=True)


def runs(client: Any) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name("autolog").experiment_id]))


def test_a_fit_logs_the_model_its_signature_and_an_example(client: Any, iris: tuple[Any, Any]) -> None:
    penstock.sklearn.autolog(log_input_examples=True, registered_model_name="iris", extra_tags={"team": "botany"})
    fitted = LogisticRegression(max_iter=300).fit(*iris)
    (run,) = runs(client)
    assert run.data.tags["team"] == "botany"
    model = penstock.load_model("models:/iris/1")
    np.testing.assert_array_equal(model.predict(iris[0]), fitted.predict(iris[0]))
    assert model.signature is not None
    assert model.signature.outputs is not None
    example = model.folder.input_example()
    assert example is not None
    assert len(example.rows()) == 5


def test_the_open_run_is_used_and_stays_open(client: Any, iris: tuple[Any, Any]) -> None:
    penstock.sklearn.autolog(log_models=False)
    with penstock.start_run() as run:
        LogisticRegression(max_iter=300).fit(*iris)
        assert penstock.active_run() is not None
        penstock.log_param("mine", 1)
    (recorded,) = runs(client)
    assert recorded.info.run_id == run.info.run_id
    assert recorded.data.params["max_iter"] == "300"
    assert recorded.data.params["mine"] == "1"


def test_a_training_that_fails_raises_and_its_run_says_so(client: Any) -> None:
    penstock.sklearn.autolog(log_datasets=False)
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(np.full((2, 2), np.nan), [0, 1])
    assert [run.info.status for run in runs(client)] == ["FAILED"]


def test_what_cannot_be_recorded_is_a_warning_and_the_training_goes_on(client: Any, iris: tuple[Any, Any]) -> None:
    penstock.sklearn.autolog(log_models=False, pos_label=99)
    with pytest.warns(UserWarning, match="could not record the metric") as heard:
        fitted = LogisticRegression(max_iter=300).fit(*iris)
    assert "training_precision_score" in str(heard[0].message)
    assert fitted.score(*iris) > 0.9
    assert "training_score" in runs(client)[0].data.metrics


def test_disabled_it_records_nothing(client: Any, iris: tuple[Any, Any]) -> None:
    penstock.sklearn.autolog()
    penstock.sklearn.autolog(disable=True)
    LogisticRegression(max_iter=300).fit(*iris)
    assert runs(client) == []
    assert not hasattr(LogisticRegression.fit, "autologged")


def test_an_option_nobody_knows_is_refused(client: Any) -> None:
    with pytest.raises(InvalidInput, match="no option 'log_everything'"):
        penstock.sklearn.autolog(log_everything=True)
