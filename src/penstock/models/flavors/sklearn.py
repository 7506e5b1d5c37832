"""scikit-learn's estimators and pipelines."""

from __future__ import annotations

from typing import Any

from penstock.ground.errors import InvalidInput
from penstock.models.document import PYTHON_FUNCTION
from penstock.models.flavors.estimators import (
    FORMATS,
    EstimatorPredictor,
    estimator_predictor,
    read_estimator,
    write_estimator,
)
from penstock.models.flavors.options import chosen, one_of
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.flavors.unnamed import without_feature_names
from penstock.models.folder import ModelFolder
from penstock.models.imports import without
from penstock.models.trust import Trust

with without("pandas"):  # sklearn.utils.fixes imports it and makes no use of it: 1 s of start, 60 MiB
    import sklearn
    from sklearn.base import BaseEstimator


class SklearnFlavor:
    """MLflow's flavor "sklearn", in the formats cloudpickle (default), pickle and skops."""

    name = "sklearn"

    def save(self, model: Any, packing: Packing) -> Saved:
        """Options: ``serialization_format``, ``pyfunc_predict_fn`` ("predict"), ``skops_trusted_types``."""
        options = chosen(
            packing.options,
            self.name,
            serialization_format="cloudpickle",
            pyfunc_predict_fn="predict",
            skops_trusted_types=None,
        )
        written = one_of(options["serialization_format"], FORMATS, "format")
        method = str(options["pyfunc_predict_fn"])
        if not isinstance(model, BaseEstimator):
            raise InvalidInput(f"A {type(model).__name__} is not a scikit-learn estimator.", fix="Use another flavor.")
        if not hasattr(model, method):
            raise InvalidInput(
                f"A {type(model).__name__} has no method {method!r}.", fix="Name one in pyfunc_predict_fn."
            )
        modules = write_estimator(model, packing, written)
        config = {
            "pickled_model": FORMATS[written],
            "serialization_format": written,
            "sklearn_version": sklearn.__version__,
            "skops_trusted_types": options["skops_trusted_types"],
        }
        generic = {"loader_module": "mlflow.sklearn", "model_path": FORMATS[written], "predict_fn": method}
        takes_arrays = without_feature_names(model) is not None
        return Saved(config=config, python_function=generic, modules=modules | {"sklearn"}, takes_arrays=takes_arrays)

    def load(self, folder: ModelFolder, trust: Trust) -> EstimatorPredictor:
        """The estimator, answering with the method that ``predict_fn`` names."""
        config = folder.document.flavors[self.name]
        generic = folder.document.flavors.get(PYTHON_FUNCTION, {})
        # MLflow 1.x named the file only in python_function: model_path, before that data.
        file = folder.file(config.get("pickled_model") or generic.get("model_path") or generic.get("data"))
        estimator = read_estimator(file, str(config.get("serialization_format", "pickle")), trust)
        return estimator_predictor(estimator, folder, str(generic.get("predict_fn", "predict")))


FLAVOR = SklearnFlavor()
