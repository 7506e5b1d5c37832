"""LightGBM's boosters, in its own text format, and its estimators, pickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.models.flavors.estimators import FORMATS, estimator_predictor, read_estimator, write_estimator
from penstock.models.flavors.options import chosen, one_of
from penstock.models.flavors.protocol import Packing, Predictor, Saved
from penstock.models.flavors.unnamed import without_feature_names
from penstock.models.folder import ModelFolder
from penstock.models.trust import Trust

BOOSTER = "lightgbm.basic.Booster"
BOOSTER_FILE = "model.lgb"


class BoosterPredictor(Struct, frozen=True):
    """A Booster; its answer is what its objective gives."""

    native: Any
    takes_arrays: bool

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The booster's answer; ``params`` go to its ``predict`` as keywords."""
        return self.native.predict(data, **(params or {}))


class LightGBMFlavor:
    """MLflow's flavor "lightgbm"."""

    name = "lightgbm"

    def save(self, model: Any, packing: Packing) -> Saved:
        """Options: ``serialization_format`` for the estimators ("cloudpickle", "pickle", "skops")."""
        options = chosen(packing.options, self.name, serialization_format="cloudpickle")
        if isinstance(model, lightgbm.Booster):
            file, modules, takes_arrays = BOOSTER_FILE, frozenset({"lightgbm"}), _by_place(model)
            model.save_model(str(packing.folder / file))
            config: dict[str, Any] = {"model_class": BOOSTER}
        elif isinstance(model, lightgbm.LGBMModel):
            written = one_of(options["serialization_format"], FORMATS, "format")
            file, modules = FORMATS[written], write_estimator(model, packing, written) | {"sklearn"}
            takes_arrays = without_feature_names(model) is not None and _by_place(model.booster_)
            kind = type(model)
            config = {"model_class": f"{kind.__module__}.{kind.__qualname__}", "serialization_format": written}
        else:
            raise InvalidInput(f"A {type(model).__name__} is no LightGBM model.", fix="Use another flavor.")
        config |= {"data": file, "lgb_version": lightgbm.__version__}
        generic = {"loader_module": "mlflow.lightgbm", "data": file}
        return Saved(config=config, python_function=generic, modules=modules, takes_arrays=takes_arrays)

    def load(self, folder: ModelFolder, trust: Trust) -> Predictor:
        """The booster, which needs no trust, or the pickled estimator, which needs ``trust.code``."""
        config = folder.document.flavors[self.name]
        file = folder.file(config.get("data"))
        if config.get("model_class", BOOSTER) == BOOSTER:
            booster = lightgbm.Booster(model_file=str(file))
            return BoosterPredictor(booster, _by_place(booster))
        estimator = read_estimator(file, str(config.get("serialization_format", "cloudpickle")), trust)
        predictor = estimator_predictor(estimator, folder)
        return predictor if _by_place(estimator.booster_) else type(predictor)(estimator, None)


def _by_place(booster: Any) -> bool:
    """Whether columns are told by place alone: a booster trained on pandas' categories needs a frame."""
    return not booster.pandas_categorical


FLAVOR = LightGBMFlavor()
