"""``penstock.sklearn``, ``penstock.pyfunc`` and their like: each flavor's functions under MLflow's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.api import models
from penstock.api.models_autolog import autolog
from penstock.api.registering import ModelInfo
from penstock.ground.errors import InvalidInput
from penstock.models.document import PYTHON_FUNCTION
from penstock.models.folder import ModelFolder
from penstock.models.load import LoadedModel
from penstock.models.python_model import PythonModel, PythonModelContext, set_model


class FlavorFunctions(Struct, frozen=True):
    """One flavor's ``log_model``, ``save_model`` and ``load_model``. ``argument`` is MLflow's name for the model."""

    flavor: str
    argument: str

    def log_model(self, model: Any = None, name: str | None = None, **options: Any) -> ModelInfo:
        """``penstock.log_model`` for this flavor."""
        return models.log_model(self._model(model, options), name, flavor=self.flavor, **options)

    def save_model(self, model: Any = None, path: str | Path = "", **options: Any) -> ModelFolder:
        """``penstock.save_model`` for this flavor."""
        return models.save_model(self._model(model, options), path, flavor=self.flavor, **options)

    def load_model(self, model_uri: str | Path, **options: Any) -> Any:
        """The library's own object, not wrapped: an estimator, a booster, a module."""
        return models.load_model(model_uri, **options).predictor.native

    def autolog(self, *, disable: bool = False, **options: Any) -> None:
        """From now on this library's training is recorded; see ``penstock.autolog``."""
        autolog(flavors=(self.flavor,), disable=disable, **options)

    def _model(self, model: Any, options: dict[str, Any]) -> Any:
        given = options.pop(self.argument, model)
        if given is None:
            raise InvalidInput("No model was given.", fix=f"Pass it first, or as {self.argument}=.")
        return given


class PythonFunctions(Struct, frozen=True):
    """``penstock.pyfunc``: models that are code of one's own, and any model as something that predicts."""

    PythonModel = PythonModel
    PythonModelContext = PythonModelContext
    set_model = staticmethod(set_model)

    def log_model(self, name: str | None = None, *, python_model: Any, **options: Any) -> ModelInfo:
        """A PythonModel, a function or the path of a code file, logged; with ``artifacts`` and ``model_config``."""
        return models.log_model(python_model, name, flavor=PYTHON_FUNCTION, **options)

    def save_model(self, path: str | Path, *, python_model: Any, **options: Any) -> ModelFolder:
        """The same, saved at ``path``."""
        return models.save_model(python_model, path, flavor=PYTHON_FUNCTION, **options)

    def load_model(self, model_uri: str | Path, **options: Any) -> LoadedModel:
        """Any flavor's model, ready to ``predict``."""
        return models.load_model(model_uri, **options)


sklearn = FlavorFunctions("sklearn", "sk_model")
xgboost = FlavorFunctions("xgboost", "xgb_model")
lightgbm = FlavorFunctions("lightgbm", "lgb_model")
tensorflow = FlavorFunctions("tensorflow", "model")
keras = FlavorFunctions("keras", "model")
onnx = FlavorFunctions("onnx", "onnx_model")
pytorch = FlavorFunctions("pytorch", "pytorch_model")
pyfunc = PythonFunctions()
