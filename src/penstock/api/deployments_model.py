"""From what people call a model to a model folder on this machine."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from penstock.api.resolve import find_model, resolve_model
from penstock.models.folder import ModelFolder, read_model_folder


class ModelSource(Struct, frozen=True, kw_only=True):
    """A model folder and where it came from: ``uri`` as given, ``version`` for a registered model."""

    folder: ModelFolder
    uri: str
    version: str = ""


def open_model(model: str | Path | ModelSource) -> ModelSource:
    """The model that ``model`` names; one that is open already is itself. Raises NotFound and ModelFolderInvalid."""
    if isinstance(model, ModelSource):
        return model
    found = find_model(str(model))
    folder = read_model_folder(resolve_model(str(model)))
    return ModelSource(folder=folder, uri=str(model), version="" if found.version is None else str(found.version))
