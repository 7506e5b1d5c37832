"""XGBoost's boosters and its estimators, in XGBoost's own file format, which holds data alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xgboost
from msgspec import Struct

from penstock.ground.errors import InvalidInput, ModelFolderInvalid
from penstock.models.flavors.estimators import estimator_predictor
from penstock.models.flavors.options import chosen, one_of
from penstock.models.flavors.protocol import Packing, Predictor, Saved
from penstock.models.folder import ModelFolder
from penstock.models.inference import is_frame
from penstock.models.trust import Trust

FORMATS = ("ubj", "json")


class BoosterPredictor(Struct, frozen=True):
    """A Booster, which answers with what its objective gives: probabilities, margins or values."""

    native: Any
    takes_arrays: bool

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The booster's answer; ``params`` go to its ``predict`` as keywords."""
        if isinstance(data, np.ndarray) and not params:
            return self.native.inplace_predict(data, validate_features=False)
        if not is_frame(data) and not isinstance(data, np.ndarray):
            data = np.asarray(data)
        names = None if is_frame(data) else self.native.feature_names
        return self.native.predict(xgboost.DMatrix(data, feature_names=names), **(params or {}))


class XGBoostFlavor:
    """MLflow's flavor "xgboost"."""

    name = "xgboost"

    def save(self, model: Any, packing: Packing) -> Saved:
        """Options: ``model_format`` ("ubj", or "json")."""
        options = chosen(packing.options, self.name, model_format="ubj")
        written = one_of(options["model_format"], FORMATS, "format")
        if not isinstance(model, xgboost.Booster | xgboost.XGBModel):
            raise InvalidInput(f"A {type(model).__name__} is no XGBoost model.", fix="Use another flavor.")
        file = f"model.{written}"
        model.save_model(packing.folder / file)
        kind = _own_class(type(model))
        config = {
            "data": file,
            "model_class": f"{kind.__module__}.{kind.__qualname__}",
            "model_format": written,
            "xgb_version": xgboost.__version__,
        }
        modules = {"xgboost"} if kind is xgboost.Booster else {"xgboost", "sklearn"}
        generic = {"loader_module": "mlflow.xgboost", "data": file}
        takes_arrays = _by_place(model if kind is xgboost.Booster else model.get_booster())
        return Saved(config=config, python_function=generic, modules=frozenset(modules), takes_arrays=takes_arrays)

    def load(self, folder: ModelFolder, trust: Trust) -> Predictor:
        """The booster or the estimator. The file holds no code; the class that MLmodel names must be XGBoost's."""
        config = folder.document.flavors[self.name]
        kind = _named_class(str(config.get("model_class", "xgboost.core.Booster")))
        model = kind()
        file = folder.file(config.get("data"))
        # MLflow 2 calls the file model.xgb, a name that makes XGBoost guess aloud; bytes it just reads.
        model.load_model(file if file.suffix[1:] in FORMATS else bytearray(file.read_bytes()))
        if isinstance(model, xgboost.Booster):
            return BoosterPredictor(model, _by_place(model))
        predictor = estimator_predictor(model, folder)
        return predictor if _by_place(model.get_booster()) else type(predictor)(model, None)


def _own_class(kind: type[Any]) -> type[Any]:
    """The class of XGBoost's own that a user's subclass derives from."""
    return next(base for base in kind.__mro__ if base.__module__.partition(".")[0] == "xgboost")


def _named_class(name: str) -> type[Any]:
    found = getattr(xgboost, name.rpartition(".")[2], None)
    own = isinstance(found, type) and issubclass(found, xgboost.Booster | xgboost.XGBModel)
    if not own or not name.startswith("xgboost."):
        raise ModelFolderInvalid(f"MLmodel names {name!r} as an XGBoost class, which it is not.")
    return found  # type: ignore[return-value]


def _by_place(booster: Any) -> bool:
    """Whether columns are told by place alone: categories need a frame's own types."""
    return "c" not in (booster.feature_types or ())


FLAVOR = XGBoostFlavor()
