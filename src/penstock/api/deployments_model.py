"""From what people call a model to a model folder on this machine."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from penstock.ground.errors import NotFound
from penstock.ground.settings import Settings
from penstock.models.folder import ModelFolder, read_model_folder


class ModelSource(Struct, frozen=True, kw_only=True):
    """A model folder and where it came from: ``uri`` as given, ``version`` for a registered model."""

    folder: ModelFolder
    uri: str
    version: str = ""


def open_model(model: str | Path, *, settings: Settings) -> ModelSource:
    """The model that ``model`` names. Raises NotFound and ModelFolderInvalid."""
    path = Path(str(model).removeprefix("file://"))
    if path.is_dir():
        return ModelSource(folder=read_model_folder(path), uri=str(model))
    raise NotFound(f"There is no model folder at {model}.", fix="Give a folder that holds a file called MLmodel.")
