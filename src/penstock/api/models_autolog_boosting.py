"""XGBoost's and LightGBM's training, recorded: params, each round's evaluation, importances and the model."""

from __future__ import annotations

import functools
import inspect
import json
from copy import deepcopy
from importlib import import_module
from typing import Any

import numpy as np

from penstock.api import models
from penstock.api.active import client
from penstock.api.models_autolog import EXAMPLE_ROWS, AutologOptions, Hooks, as_params, is_training, recording, training
from penstock.api.values import metrics_of, params_of
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.models.inference import is_frame
from penstock.models.signature import Signature, infer_signature

# Training data and callbacks are not params; MLflow leaves them out too.
_UNLOGGED = {"params", "dtrain", "train_set", "evals", "valid_sets", "obj", "fobj", "feval", "init_model", "xgb_model",
             "evals_result", "callbacks", "learning_rates", "custom_metric"}  # fmt: skip


def hooks(flavor: str, options: AutologOptions) -> Hooks:
    """The hooks on the library's ``train``, which its estimators call as well."""
    library = import_module(flavor)
    placed = Hooks()
    make = functools.partial(_recorded, flavor=flavor, options=options)
    placed.replace(library, "train", make)
    inner = import_module(f"{flavor}.sklearn")
    placed.replace(inner, "train", make)
    if flavor == "xgboost":
        for kind in (library.DMatrix, library.QuantileDMatrix):
            placed.replace(kind, "__init__", _keeping_rows)
    return placed


def _keeping_rows(original: Any) -> Any:
    """XGBoost turns its data into something of its own at once, so the first rows are kept for the signature."""

    @functools.wraps(original)
    def init(self: Any, data: Any, *args: Any, **keywords: Any) -> None:
        original(self, data, *args, **keywords)
        if is_frame(data) or isinstance(data, np.ndarray):
            self.autolog_rows = deepcopy(data[:EXAMPLE_ROWS])

    return init


def _first_rows(arguments: dict[str, Any]) -> Any:
    """The first rows of the training data, or None where the library let go of them or they are no table."""
    data = arguments.get("dtrain", arguments.get("train_set"))
    rows: Any = getattr(data, "autolog_rows", getattr(data, "data", None))
    return deepcopy(rows[:EXAMPLE_ROWS]) if is_frame(rows) or isinstance(rows, np.ndarray) else None


def _recorded(original: Any, *, flavor: str, options: AutologOptions) -> Any:
    @functools.wraps(original)
    def train(*args: Any, **keywords: Any) -> Any:
        if is_training():
            return original(*args, **keywords)
        given = inspect.signature(original).bind(*args, **keywords)
        given.apply_defaults()
        wanted = given.arguments.get("evals_result")  # XGBoost's estimators read it afterwards
        rounds: dict[str, dict[str, list[float]]] = {} if wanted is None else wanted
        rows = _first_rows(given.arguments)
        with training(flavor, options) as run_id:
            with recording("params"):
                client().log_batch(run_id, params=params_of(as_params(_params(given.arguments))))
            booster = original(*args, **_watching(flavor, keywords, given.arguments, rounds))
            with recording("the evaluations"):
                _log_rounds(run_id, rounds, booster)
            with recording("the importances"):
                _log_importances(run_id, flavor, booster)
            if options.log_models:
                with recording("the model"):
                    _log_model(booster, flavor, rows, options)
        return booster

    return train


def _log_model(booster: Any, flavor: str, rows: Any, options: AutologOptions) -> None:
    signature: Signature | bool = False
    if options.log_model_signatures and rows is not None:
        answer = booster.predict(import_module("xgboost").DMatrix(rows) if flavor == "xgboost" else rows)
        signature = infer_signature(rows, answer)
    models.log_model(
        booster,
        "model",
        flavor=flavor,
        signature=signature,
        input_example=rows if options.log_input_examples else None,
        registered_model_name=options.registered_model_name,
    )


def _params(arguments: dict[str, Any]) -> dict[str, Any]:
    """The booster's own params, and the arguments of ``train`` that are none of the data."""
    return {**{name: value for name, value in arguments.items() if name not in _UNLOGGED}, **arguments["params"]}


def _watching(flavor: str, keywords: dict[str, Any], arguments: dict[str, Any], rounds: Any) -> dict[str, Any]:
    """The keywords with ``rounds`` to be filled: XGBoost's own ``evals_result``, LightGBM's callback for it."""
    if flavor == "xgboost":
        if arguments.get("evals") and arguments.get("evals_result") is None:
            return {**keywords, "evals_result": rounds}
        return keywords
    record = import_module("lightgbm").record_evaluation(rounds)
    return (
        {**keywords, "callbacks": [*(arguments.get("callbacks") or ()), record]} if _has_sets(arguments) else keywords
    )


def _has_sets(arguments: dict[str, Any]) -> bool:
    return bool(arguments.get("valid_sets"))


def _log_rounds(run_id: str, rounds: dict[str, dict[str, list[float]]], booster: Any) -> None:
    """Each evaluation as a metric ``<data>-<measure>``, one step a round, and the best round if it stopped early."""
    now_ms = SYSTEM_CLOCK.now_ms()
    points = [
        point
        for data, measures in rounds.items()
        for measure, values in measures.items()
        for step, value in enumerate(values)
        for point in metrics_of(
            {f"{data}-{measure}": value}, step=step, timestamp_ms=now_ms, model_id=None, dataset=None
        )
    ]
    best = getattr(booster, "best_iteration", None) if rounds else None
    if best is not None and best > 0:
        points.extend(
            metrics_of({"best_iteration": float(best)}, step=None, timestamp_ms=now_ms, model_id=None, dataset=None)
        )
    if points:
        client().log_batch(run_id, metrics=points)


def _log_importances(run_id: str, flavor: str, booster: Any) -> None:
    """One JSON file a kind of importance, by column; plots are left to who looks at them."""
    if flavor == "xgboost":
        tables = {"weight": booster.get_score(importance_type="weight")}
    else:
        names = booster.feature_name()
        tables = {
            kind: dict(zip(names, booster.feature_importance(kind).tolist(), strict=True)) for kind in ("split", "gain")
        }
    for kind, table in tables.items():
        client().log_text(run_id, json.dumps(table), f"feature_importance_{kind}.json")


__all__ = ["hooks"]
