from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock


@pytest.fixture
def client(tmp_path: Path, state_dir: Path) -> Iterator[Any]:
    """A client of a fresh tracking store; autologging is off again afterwards."""
    uri = f"sqlite:///{tmp_path / 'tracking.db'}"
    penstock.set_tracking_uri(uri)
    penstock.set_experiment("autolog")
    yield penstock.MlflowClient(uri)
    penstock.autolog(flavors=("xgboost", "lightgbm", "pytorch"), disable=True)


def the_run(client: Any) -> Any:
    (run,) = client.search_runs([client.get_experiment_by_name("autolog").experiment_id])
    return run


def test_xgboosts_rounds_params_importances_and_model(client: Any, iris: tuple[Any, Any], tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    penstock.xgboost.autolog(registered_model_name="trees")
    data = xgboost.DMatrix(*iris)
    options = {"objective": "multi:softprob", "num_class": 3, "eta": 0.5}
    booster = xgboost.train(options, data, 4, evals=[(data, "train")], verbose_eval=False)
    run = the_run(client)
    assert run.data.params["eta"] == "0.5"
    assert run.data.params["num_boost_round"] == "4"
    history = client.get_metric_history(run.info.run_id, "train-mlogloss")
    assert [point.step for point in history] == [0, 1, 2, 3]
    assert history[3].value < history[0].value
    kept = client.download_artifacts(run.info.run_id, "feature_importance_weight.json", str(tmp_path))
    assert json.loads(Path(kept).read_text()) == booster.get_score(importance_type="weight")
    model = penstock.load_model("models:/trees/1")
    assert model.signature is not None
    assert model.inputs is not None
    assert list(model.inputs.names) == list(iris[0].columns)
    answer = model.predict(iris[0])
    np.testing.assert_allclose(answer, booster.predict(data), rtol=1e-6)


def test_xgboosts_estimators_are_recorded_and_keep_their_own_results(client: Any, iris: tuple[Any, Any]) -> None:
    xgboost = pytest.importorskip("xgboost")
    penstock.xgboost.autolog(log_models=False)
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1)
    model.fit(*iris, eval_set=[iris], verbose=False)
    run = the_run(client)
    assert run.data.params["max_depth"] == "2"
    history = client.get_metric_history(run.info.run_id, "validation_0-mlogloss")
    assert [point.value for point in history] == model.evals_result()["validation_0"]["mlogloss"]
    assert len(history) == 3


def test_lightgbms_model_has_a_signature(client: Any, iris: tuple[Any, Any]) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    penstock.lightgbm.autolog(log_input_examples=True, registered_model_name="leaves")
    options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(*iris), 3)
    model = penstock.load_model("models:/leaves/1")
    assert model.inputs is not None
    assert list(model.inputs.names) == list(iris[0].columns)
    np.testing.assert_allclose(model.predict(iris[0]), booster.predict(iris[0]))


def test_lightgbms_estimators_are_recorded_through_its_train(client: Any, iris: tuple[Any, Any]) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    penstock.lightgbm.autolog(log_models=False)
    model = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=5, verbose=-1)
    model.fit(*iris, eval_X=iris[0], eval_y=iris[1])
    run = the_run(client)
    assert run.data.params["num_leaves"] == "5"
    history = client.get_metric_history(run.info.run_id, "valid_0-multi_logloss")
    assert len(history) == 3
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert files == {"feature_importance_split.json", "feature_importance_gain.json"}


def test_a_plain_pytorch_loop_logs_its_loss_and_optimizer(client: Any) -> None:
    torch = pytest.importorskip("torch")
    penstock.pytorch.autolog(every_n_steps=2)
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    rows, targets = torch.ones(4, 2), torch.zeros(4, 1)
    with penstock.start_run():
        for _ in range(5):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(rows), targets).backward()
            optimizer.step()
    run = the_run(client)
    assert run.data.params["optimizer_name"] == "SGD"
    assert run.data.params["lr"] == "0.1"
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in losses] == [0, 2, 4]
    assert losses[-1].value < losses[0].value
    penstock.pytorch.autolog(disable=True)
    assert torch.Tensor.backward.__module__ == "torch._tensor"
