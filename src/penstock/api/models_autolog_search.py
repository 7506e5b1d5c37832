"""What a parameter search found: the best of it on the search's own run, and a child run for each of the best."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from penstock.api import names
from penstock.api.active import client
from penstock.api.data import dataset_input
from penstock.api.models_autolog import AUTOLOGGING, AutologOptions, as_params
from penstock.api.source import source_tags
from penstock.api.values import metrics_of, params_of
from penstock.ground.clock import SYSTEM_CLOCK


def is_search(estimator: Any) -> bool:
    return isinstance(estimator, GridSearchCV | RandomizedSearchCV)


def estimator_tags(estimator: Any) -> dict[str, str]:
    """The tags by which MLflow names an estimator."""
    kind = type(estimator)
    return {"estimator_name": kind.__name__, "estimator_class": f"{kind.__module__}.{kind.__name__}"}


def own_params(estimator: Any) -> dict[str, Any]:
    """The estimator's params, those inside it too, but for a search: its seed's are not what was found."""
    return dict(estimator.get_params(deep=not is_search(estimator)))


def log_search(search: Any, run_id: str, options: AutologOptions, dataset: Any) -> None:
    """Logs the best params and score, all results as a table, and the best candidates as child runs."""
    if hasattr(search, "best_score_"):
        client().log_metric(run_id, "best_cv_score", search.best_score_)
    if hasattr(search, "best_params_"):
        best = {f"best_{name}": value for name, value in search.best_params_.items()}
        client().log_batch(run_id, params=params_of(as_params(best)))
    results = pd.DataFrame(search.cv_results_)
    client().log_text(run_id, results.to_csv(index=False), "cv_results.csv")
    for _, row in _best_rows(results, options.max_tuning_runs).iterrows():
        _log_child(search.estimator, run_id, row, dataset)


def _best_rows(results: Any, count: int | None) -> Any:
    if count is None:
        return results
    rank = next(name for name in results.columns if name.startswith("rank_test_"))
    return results.nsmallest(count, rank)


def _log_child(seed: Any, parent_id: str, row: Any, dataset: Any) -> None:
    parent = client().get_run(parent_id).info
    tags = {**source_tags(), AUTOLOGGING: "sklearn", names.PARENT_RUN_ID: parent_id, **estimator_tags(seed)}
    child = client().create_run(parent.experiment_id, parent.start_time, tags).info.run_id
    measured = {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and not name.startswith(("param", "split"))
    }
    client().log_batch(
        child,
        params=params_of(as_params({**own_params(seed), **row["params"]})),
        metrics=metrics_of(measured, step=None, timestamp_ms=SYSTEM_CLOCK.now_ms(), model_id=None, dataset=None),
    )
    if dataset is not None:
        client().log_inputs(child, datasets=[dataset_input(dataset, context="train")])
    client().set_terminated(child, "FINISHED")
