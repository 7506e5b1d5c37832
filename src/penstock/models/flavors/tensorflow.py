"""TensorFlow's modules as SavedModels, and the Keras models that MLflow keeps under this flavor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.models.flavors.keras import DATA, KerasPredictor, read_keras
from penstock.models.flavors.options import chosen
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.folder import ModelFolder
from penstock.models.inference import is_frame
from penstock.models.trust import Trust

DIRECTORY = "tf2model"


class SavedModelPredictor(Struct, frozen=True):
    """A loaded SavedModel, called with tensors made of what it is given."""

    native: Any
    takes_arrays: bool = True

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The output as an array, or a dict of arrays."""
        if isinstance(data, Mapping):
            given: Any = {name: tensorflow.constant(value) for name, value in data.items()}
        else:
            given = tensorflow.constant(data.to_numpy() if is_frame(data) else np.asarray(data))
        output = self.native(given, **(params or {}))
        if isinstance(output, Mapping):
            return {name: value.numpy() for name, value in output.items()}
        return output.numpy()


class TensorFlowFlavor:
    """MLflow's flavor "tensorflow"."""

    name = "tensorflow"

    def save(self, model: Any, packing: Packing) -> Saved:
        """``model`` is a tf.Module whose call is a ``tf.function``; Keras models are of the flavor "keras"."""
        chosen(packing.options, self.name)
        if not isinstance(model, tensorflow.Module):
            raise InvalidInput(f"A {type(model).__name__} is no tf.Module.", fix="Give a tf.Module or a keras.Model.")
        tensorflow.saved_model.save(model, str(packing.folder / DIRECTORY))
        config = {"model_type": "tf2-module", "saved_model_dir": DIRECTORY}
        generic = {"loader_module": "mlflow.tensorflow"}
        modules = frozenset({"tensorflow"})
        return Saved(config=config, python_function=generic, modules=modules, takes_arrays=True)

    def load(self, folder: ModelFolder, trust: Trust) -> SavedModelPredictor | KerasPredictor:
        """The module, whose graph may read and write files and so needs ``trust.code``; or the Keras model."""
        config = folder.document.flavors[self.name]
        if config.get("model_type") == "keras":
            return read_keras(folder.file(config.get("data", DATA)), trust)
        trust.check_code("a SavedModel")
        return SavedModelPredictor(
            tensorflow.saved_model.load(str(folder.file(config.get("saved_model_dir", DIRECTORY))))
        )


FLAVOR = TensorFlowFlavor()
