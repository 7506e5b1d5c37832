"""From an estimator of scikit-learn, XGBoost or LightGBM to an ONNX graph. It claims nothing; proving comes after."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.impute import SimpleImputer

from penstock.ground.errors import NotImplementedHere
from penstock.models.optimize.boosting import (
    FORESTS,
    HISTOGRAMS,
    STAGES,
    convert_histograms,
    convert_regressing_forest,
    convert_stages,
)
from penstock.models.optimize.ensemble import DOMAIN, VERSION
from penstock.models.optimize.forests import CLASSIFIERS, convert_forest
from penstock.models.optimize.imputer import convert_imputer
from penstock.models.optimize.lightgbm_trees import convert_lightgbm
from penstock.models.optimize.parts import parts
from penstock.models.optimize.xgboost_trees import convert_xgboost

OPSETS = {"": 18, "ai.onnx.ml": 3}
# Converters of our own, by estimator; skl2onnx has the rest.
CONVERTERS: dict[type[Any], Any] = {
    **dict.fromkeys(CLASSIFIERS, convert_forest),
    **dict.fromkeys(HISTOGRAMS, convert_histograms),
    **dict.fromkeys(STAGES, convert_stages),
    **dict.fromkeys(FORESTS, convert_regressing_forest),
}
_SHAPED_BY_SKL2ONNX = {SimpleImputer: convert_imputer}


class Form(NamedTuple):
    """One way to write an estimator as a graph.

    Trees compare in float32 (double inputs are rounded first), everything else computes in double. Labels come from the
    raw scores where the converter can do it: probabilities saturate at 1 and tie.
    """

    precision: str
    raw_scores: bool


FORMS = (Form("double", True), Form("float", True), Form("double", False), Form("float", False))


def forms_of(estimator: Any, method: str) -> tuple[Form, ...]:
    """The forms worth trying: only labels can come from raw scores."""
    labels = hasattr(estimator, "classes_") and method == "predict"
    return tuple(form for form in FORMS if labels or not form.raw_scores)


def one_input(form: Form, n_columns: int) -> list[tuple[str, Any]]:
    """The inputs of a graph that takes one array of shape (n_rows, n_columns)."""
    number = DoubleTensorType if form.precision == "double" else FloatTensorType
    return [("input", number([None, n_columns]))]


def to_onnx(estimator: Any, method: str, form: Form, inputs: list[tuple[str, Any]]) -> Any:
    """The graph of ``estimator`` that takes these inputs (skl2onnx's types) and gives the one output of ``method``.

    Raises NotImplementedHere naming what cannot be converted.
    """
    _register_boosters(estimator)
    classifier = hasattr(estimator, "classes_")
    last = _last(estimator)
    options = {"zipmap": False, **({"raw_scores": True} if form.raw_scores else {})}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations between the converters and the libraries
            graph = convert_sklearn(
                estimator,
                initial_types=inputs,
                options={id(last): options} if classifier else None,
                target_opset=OPSETS,
                custom_conversion_functions={**CONVERTERS, **_SHAPED_BY_SKL2ONNX},
                custom_shape_calculators={kind: _shapes_of(kind) for kind in CONVERTERS},
            )
    except Exception as error:  # converters of many libraries raise whatever they meet
        raise NotImplementedHere(f"It cannot be converted to ONNX ({_short(error)}).") from error
    return _with_output(_with_newest_trees(graph), probabilities=classifier and method == "predict_proba")


def _with_newest_trees(graph: Any) -> Any:
    """``graph``, told to be of the version that TreeEnsemble came with, which skl2onnx does not know of yet.

    The older tree operators are gone from that version; a graph with both kinds is refused by the runtime.
    """
    if any(node.op_type == "TreeEnsemble" for node in graph.graph.node):
        for each in graph.opset_import:
            each.version = VERSION if each.domain == DOMAIN else each.version
    return graph


def _shapes_of(kind: type[Any]) -> Any:
    classifier = kind.__name__.endswith("Classifier")
    return calculate_linear_classifier_output_shapes if classifier else calculate_linear_regressor_output_shapes


def _last(estimator: Any) -> Any:
    """A pipeline's last step, which is the one whose answer it gives; else the estimator itself."""
    return _last(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator


def _with_output(graph: Any, *, probabilities: bool) -> Any:
    """``graph`` with only the output that is asked for: the others would be computed for nothing."""
    outputs = list(graph.graph.output)
    kept = outputs[-1] if probabilities else outputs[0]
    for each in outputs:
        if each is not kept:
            graph.graph.output.remove(each)
    return graph


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 120 else text[:117] + "..."


def _register_boosters(estimator: Any) -> None:
    """Teaches skl2onnx the boosters inside ``estimator``, if there are any."""
    roots = {type(each).__module__.partition(".")[0] for each in parts(estimator)}
    if "lightgbm" in roots:
        import lightgbm

        for kind in (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor):
            _register(kind, convert_lightgbm)
    if "xgboost" in roots:
        import xgboost

        for kind in (xgboost.XGBClassifier, xgboost.XGBRegressor, xgboost.XGBRFClassifier, xgboost.XGBRFRegressor):
            _register(kind, convert_xgboost)


def _register(kind: type[Any], converter: Any) -> None:
    classifier = kind.__name__.endswith("Classifier")
    options = (
        {"options": {"raw_scores": [True, False], "nocl": [True, False], "zipmap": [True, False, "columns"]}}
        if classifier
        else {}
    )
    update_registered_converter(kind, f"Penstock{kind.__name__}", _shapes_of(kind), converter, **options)
