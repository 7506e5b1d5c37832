"""scikit-learn's estimators and pipelines."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sklearn
from msgspec import Struct
from sklearn.base import BaseEstimator

from penstock.ground.errors import EnvironmentMismatch, Forbidden, InvalidInput
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.flavors.unnamed import without_feature_names
from penstock.models.folder import ModelFolder
from penstock.models.inference import is_frame
from penstock.models.trust import Trust

FORMATS = {"cloudpickle": "model.pkl", "pickle": "model.pkl", "skops": "model.skops"}


class SklearnPredictor(Struct, frozen=True):
    """An estimator. ``unnamed`` is its twin that was never told column names, or None where the names matter."""

    native: Any
    unnamed: Any
    method: str

    @property
    def takes_arrays(self) -> bool:
        return self.unnamed is not None

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The estimator's answer; ``params`` go to its method as keywords."""
        estimator = self.native
        if not is_frame(data):
            estimator = self.unnamed if self.unnamed is not None else self.native
        elif self.unnamed is not None and not hasattr(self.native, "feature_names_in_"):
            data = data.to_numpy()
        return getattr(estimator, self.method)(data, **(params or {}))


class SklearnFlavor:
    """MLflow's flavor "sklearn", in the formats cloudpickle (default), pickle and skops."""

    name = "sklearn"

    def save(self, model: Any, packing: Packing) -> Saved:
        """Options: ``serialization_format``, ``pyfunc_predict_fn`` ("predict"), ``skops_trusted_types``."""
        options = {"serialization_format": "cloudpickle", "pyfunc_predict_fn": "predict", "skops_trusted_types": None}
        unknown = set(packing.options) - set(options)
        if unknown:
            raise InvalidInput(f"The sklearn flavor has no option {sorted(unknown)}.", fix=f"It has {sorted(options)}.")
        options |= packing.options
        written, method = str(options["serialization_format"]), str(options["pyfunc_predict_fn"])
        if not isinstance(model, BaseEstimator):
            raise InvalidInput(f"A {type(model).__name__} is not a scikit-learn estimator.", fix="Use another flavor.")
        if written not in FORMATS:
            raise InvalidInput(f"There is no format {written!r}.", fix=f"Use one of {', '.join(FORMATS)}.")
        if not hasattr(model, method):
            raise InvalidInput(
                f"A {type(model).__name__} has no method {method!r}.", fix="Name one in pyfunc_predict_fn."
            )
        modules = self._write(model, packing, written)
        config = {
            "pickled_model": FORMATS[written],
            "serialization_format": written,
            "sklearn_version": sklearn.__version__,
            "skops_trusted_types": options["skops_trusted_types"],
        }
        generic = {"loader_module": "mlflow.sklearn", "model_path": FORMATS[written], "predict_fn": method}
        takes_arrays = without_feature_names(model) is not None
        return Saved(config=config, python_function=generic, modules=modules | {"sklearn"}, takes_arrays=takes_arrays)

    def _write(self, model: Any, packing: Packing, written: str) -> frozenset[str]:
        if written != "skops":
            return packing.pickle(model, FORMATS[written], protocol=written)
        _skops().dump(model, packing.folder / FORMATS[written])
        return packing.modules_of(model) | {"skops"}

    def load(self, folder: ModelFolder, trust: Trust) -> SklearnPredictor:
        """The estimator; a pickle needs ``trust.code``, skops builds only its own types and ``trust.types``."""
        config = folder.document.flavors[self.name]
        generic = folder.document.flavors.get("python_function", {})
        # MLflow 1.x named the file only in python_function: model_path, before that data.
        relative = config.get("pickled_model") or generic.get("model_path") or generic.get("data")
        estimator = _read(folder.file(relative), str(config.get("serialization_format", "pickle")), trust)
        return SklearnPredictor(estimator, _twin(estimator, folder), str(generic.get("predict_fn", "predict")))


def _read(file: Path, written: str, trust: Trust) -> Any:
    if written == "skops":
        return _read_skops(file, trust)
    trust.check_code("a pickled scikit-learn model")
    with file.open("rb") as stream:
        return pickle.load(stream)


def _read_skops(file: Path, trust: Trust) -> Any:
    io = _skops()
    unknown = sorted(set(io.get_untrusted_types(file=file)) - set(trust.types))
    if unknown:
        raise Forbidden(
            f"The skops file builds types that nobody vouched for: {', '.join(unknown)}.",
            fix="If you know them, load it with Trust(types=(...)); the folder's own list is never believed.",
        )
    return io.load(file, trusted=list(trust.types))


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise EnvironmentMismatch("The format skops needs the package skops.", fix="pip install skops.") from error
    return skops.io


def _twin(estimator: Any, folder: ModelFolder) -> Any:
    """The estimator without its column names, if arrays in the signature's order mean the same to it; else None."""
    trained = getattr(estimator, "feature_names_in_", None)
    signature = folder.signature
    inputs = signature.inputs if signature else None
    if trained is not None and inputs is not None and inputs.columns and list(inputs.names) != list(trained):
        return None
    return without_feature_names(estimator)


FLAVOR = SklearnFlavor()
