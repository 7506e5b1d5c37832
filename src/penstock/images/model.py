"""The model folder as a layer, and the labels that say whose model an image serves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from penstock.ground.errors import ModelFolderInvalid
from penstock.ground.files import sha256_of
from penstock.models.folder import ModelFolder, is_image_lock
from penstock.oci.layer import LayerEntry

MODEL_PATH = "opt/ml/model"
_LEFT_OUT = {"__pycache__", ".DS_Store", ".ipynb_checkpoints"}


class ModelFiles(msgspec.Struct, frozen=True):
    """A model folder's files by relative path; ``digest`` is the hex SHA-256 over all names and contents."""

    files: dict[str, Path]
    digest: str

    def entries(self) -> Iterator[LayerEntry]:
        """The files below /opt/ml/model, readable by any user."""
        for name, path in self.files.items():
            yield LayerEntry(name=f"{MODEL_PATH}/{name}", content=path)


def read_model_files(folder: ModelFolder) -> ModelFiles:
    """The files of a model folder. Raises ModelFolderInvalid for a link that leads out of it."""
    root = folder.path.resolve()
    files: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if _LEFT_OUT.intersection(path.relative_to(root).parts) or is_image_lock(path.name) or path.is_dir():
            continue
        if root not in path.resolve().parents:
            raise ModelFolderInvalid(f"{path} leads out of the model folder.", fix="Copy the file into the folder.")
        files[path.relative_to(root).as_posix()] = path
    lines = (f"{name}\0{sha256_of(path)}\n" for name, path in files.items())
    return ModelFiles(files, hashlib.sha256("".join(lines).encode()).hexdigest())


def model_labels(folder: ModelFolder, digest: str, *, version: str = "") -> dict[str, str]:
    """Labels of the model's identity: its run, its id, registered version, flavors, signature and digest."""
    document = folder.document
    signature = document.signature
    stated = {
        "penstock.model.digest": f"sha256:{digest}",
        "penstock.model.flavors": ",".join(sorted(document.flavors)),
        "penstock.model.id": str(document.table.get("model_id") or ""),
        "penstock.model.run_id": str(document.table.get("run_id") or ""),
        "penstock.model.version": version,
        "penstock.model.signature": "" if signature is None else json.dumps(signature.to_dict(), sort_keys=True),
    }
    return {name: value for name, value in stated.items() if value}
