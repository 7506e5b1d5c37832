"""Keras 3's models, in its own .keras archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.ground.files import ensure_directory, write_atomically
from penstock.models.flavors.options import chosen
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.folder import ModelFolder
from penstock.models.inference import as_array, is_frame
from penstock.models.trust import Trust

DATA = "data"
FILE = "model.keras"


class KerasPredictor(Struct, frozen=True):
    """A Keras model. It is called rather than asked to ``predict``, which is made for large batches."""

    native: Any
    takes_arrays: bool = True

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The output as an array, or a dict or list of arrays if the model gives several."""
        if isinstance(data, Mapping):
            given: Any = {name: np.asarray(value) for name, value in data.items()}
        else:
            given = data.to_numpy() if is_frame(data) else np.asarray(data)
        return _arrays(self.native(given, training=False, **(params or {})))


def _arrays(output: Any) -> Any:
    if isinstance(output, Mapping):
        return {name: _arrays(value) for name, value in output.items()}
    if isinstance(output, list | tuple):
        return [_arrays(value) for value in output]
    return as_array(output)


def write_keras(model: Any, folder: Path) -> None:
    """Writes the archive and the note by which MLflow knows which Keras to read it with."""
    directory = ensure_directory(folder / DATA)
    model.save(directory / FILE)
    write_atomically(directory / "keras_module.txt", b"keras")


def read_keras(directory: Path, trust: Trust) -> KerasPredictor:
    """The model. Lambda layers bring code, and are read only with ``trust.code``."""
    file = directory / FILE
    model = keras.models.load_model(file if file.exists() else directory, safe_mode=not trust.code, compile=False)
    return KerasPredictor(model)


class KerasFlavor:
    """MLflow's flavor "keras"."""

    name = "keras"

    def save(self, model: Any, packing: Packing) -> Saved:
        chosen(packing.options, self.name)
        if not isinstance(model, keras.Model):
            raise InvalidInput(f"A {type(model).__name__} is no Keras model.", fix="Give a keras.Model.")
        write_keras(model, packing.folder)
        config = {
            "data": DATA,
            "keras_backend": keras.backend.backend(),
            "keras_version": keras.__version__,
            "save_exported_model": False,
        }
        modules = frozenset({"keras", keras.backend.backend()})
        return Saved(
            config=config, python_function={"loader_module": "mlflow.keras"}, modules=modules, takes_arrays=True
        )

    def load(self, folder: ModelFolder, trust: Trust) -> KerasPredictor:
        return read_keras(folder.file(folder.document.flavors[self.name].get("data")), trust)


FLAVOR = KerasFlavor()
