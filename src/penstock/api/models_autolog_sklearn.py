"""scikit-learn's training, recorded: every ``fit`` of an estimator logs what MLflow's autologging logs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import estimator_html_repr

from penstock.api import data, models
from penstock.api.active import client
from penstock.api.models_autolog import EXAMPLE_ROWS, AutologOptions, Hooks, as_params, is_training, recording, training
from penstock.api.models_autolog_metrics import training_metrics, training_plots
from penstock.api.models_autolog_search import estimator_tags, is_search, log_search, own_params
from penstock.api.tracking import log_input, log_metrics
from penstock.api.values import params_of, tags_of
from penstock.models.inference import is_frame
from penstock.models.signature import Signature, infer_signature

FITS = ("fit", "fit_transform", "fit_predict")
# They prepare data rather than learn from it; MLflow leaves them out too.
_LEFT_OUT = ("sklearn.preprocessing", "sklearn.impute", "sklearn.feature_extraction", "sklearn.feature_selection",
             "sklearn.compose._column_transformer")  # fmt: skip


def hooks(flavor: str, options: AutologOptions) -> Hooks:
    """The hooks on each of scikit-learn's classes, those imported later included."""
    placed = Hooks()
    for kind in _subclasses(BaseEstimator):
        _hook_class(placed, kind, options)
    original = BaseEstimator.__init_subclass__.__func__

    def hooked(kind: type[Any], /, **keywords: Any) -> None:
        original(kind, **keywords)
        _hook_class(placed, kind, options)

    placed.replace(BaseEstimator, "__init_subclass__", lambda _: classmethod(hooked))
    return placed


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _hook_class(placed: Hooks, kind: type[Any], options: AutologOptions) -> None:
    if not kind.__module__.startswith("sklearn.") or kind.__module__.startswith(_LEFT_OUT):
        return
    for name in FITS:
        method = vars(kind).get(name)
        if inspect.isfunction(method) and not hasattr(method, "autologged"):
            placed.replace(kind, name, functools.partial(_recorded, options=options))


def _recorded(original: Any, *, options: AutologOptions) -> Any:
    @functools.wraps(original)
    def fit(self: Any, *args: Any, **keywords: Any) -> Any:
        if is_training():
            return original(self, *args, **keywords)
        with training("sklearn", options) as run_id:
            return _fit(self, original, args, keywords, run_id, options)

    fit.autologged = True  # type: ignore[attr-defined]
    return fit


def _fit(estimator: Any, original: Any, args: Any, keywords: Any, run_id: str, options: AutologOptions) -> Any:
    rows, labels, weights = _training_data(original, estimator, args, keywords)
    with recording("params"):
        params = params_of(as_params(own_params(estimator)))
        client().log_batch(run_id, params=params, tags=tags_of(estimator_tags(estimator)))
    example = deepcopy(rows[:EXAMPLE_ROWS]) if hasattr(rows, "__getitem__") else None
    dataset = None
    if options.log_datasets:
        with recording("the training data's description"):
            dataset = data.from_pandas(rows) if is_frame(rows) else data.from_numpy(rows)
            log_input(dataset, context="train")
    result = original(estimator, *args, **keywords)
    model_id = None
    if options.log_models:
        with recording("the model"):
            model_id = _log_model(estimator, "model", example, options)
    _log_results(estimator, rows, labels, weights, run_id, options, model_id, dataset)
    if is_search(estimator):
        with recording("the search"):
            if options.log_models and hasattr(estimator, "best_estimator_"):
                _log_model(estimator.best_estimator_, "best_estimator", example, options)
            log_search(estimator, run_id, options, dataset)
    return result


def _training_data(original: Any, estimator: Any, args: Any, keywords: Any) -> tuple[Any, Any, Any]:
    """The rows, the labels and the weights among the arguments, whatever they are called."""
    signature = inspect.signature(original)
    bound = signature.bind(estimator, *args, **keywords).arguments
    places = [name for name, each in signature.parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD][1:3]
    rows, labels = ([bound.get(name) for name in places] + [None, None])[:2]
    return rows, labels, bound.get("sample_weight")


def _log_model(estimator: Any, name: str, example: Any, options: AutologOptions) -> str:
    method = "predict" if hasattr(estimator, "predict") else "transform"
    signature: Signature | bool = False
    if options.log_model_signatures and example is not None:
        signature = infer_signature(example, getattr(estimator, method)(deepcopy(example)))
    return models.log_model(
        estimator,
        name,
        flavor="sklearn",
        signature=signature,
        input_example=example if options.log_input_examples else None,
        serialization_format=options.serialization_format,
        pyfunc_predict_fn=method,
        registered_model_name=options.registered_model_name if name == "model" else None,
        params=as_params(own_params(estimator)),
    ).model_id


def _log_results(
    estimator: Any, rows: Any, labels: Any, weights: Any, run_id: str, options: AutologOptions, model_id: str | None,
    dataset: Any,
) -> None:  # fmt: skip
    if labels is not None:
        with recording("training metrics"):
            measured = training_metrics(estimator, rows, labels, weights, options.pos_label)
            log_metrics(measured, run_id=run_id, model_id=model_id, dataset=dataset)
        if is_classifier(estimator):
            with recording("plots"):
                for name, figure in training_plots(estimator, rows, labels, weights):
                    client().log_figure(run_id, figure, name)
    with recording("the estimator's page"):
        head = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="UTF-8"/></head><body>'
        page = f"{head}{estimator_html_repr(estimator)}</body></html>"
        client().log_text(run_id, page, "estimator.html")
