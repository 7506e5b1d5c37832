"""PyTorch's modules: pickled whole, scripted, or exported graphs (pt2)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.ground.files import ensure_directory, write_atomically
from penstock.models.flavors.options import chosen
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.folder import ModelFolder
from penstock.models.inference import is_frame
from penstock.models.trust import Trust

DATA = "data"
# What MLflow's loader reads the pickle with; ours reads it without.
PICKLE_MODULE = "mlflow.pytorch.pickle_module"


class TorchPredictor(Struct, frozen=True):
    """A module in evaluation mode. Arrays of doubles are taken as the module's own type of float."""

    native: Any
    device: str
    dtype: Any
    takes_arrays: bool = True

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The output as an array, or a dict or tuple of arrays if the module gives several."""
        with torch.inference_mode():
            if isinstance(data, Mapping):
                return _arrays(self.native(**{name: self._tensor(value) for name, value in data.items()}))
            values = data.to_numpy(dtype=np.float32) if is_frame(data) else np.asarray(data)
            return _arrays(self.native(self._tensor(values), **(params or {})))

    def _tensor(self, values: Any) -> Any:
        array = np.ascontiguousarray(values)
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() and self.dtype else tensor.dtype)


def _arrays(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output.cpu().numpy()
    if isinstance(output, Mapping):
        return {name: _arrays(value) for name, value in output.items()}
    return tuple(_arrays(value) for value in output)


class PyTorchFlavor:
    """MLflow's flavor "pytorch"."""

    name = "pytorch"

    def save(self, model: Any, packing: Packing) -> Saved:
        """``model`` is a module, a scripted module, or what ``torch.export.export`` gave (kept as pt2: no code)."""
        chosen(packing.options, self.name)
        directory = ensure_directory(packing.folder / DATA)
        modules = frozenset({"torch"})
        if isinstance(model, torch.export.ExportedProgram):
            torch.export.save(model, directory / "model.pt2")
        elif isinstance(model, torch.nn.Module):
            write_atomically(directory / "pickle_module_info.txt", PICKLE_MODULE.encode())
            modules |= _write_module(model, directory / "model.pth", packing)
        else:
            raise InvalidInput(f"A {type(model).__name__} is no PyTorch module.", fix="Give a torch.nn.Module.")
        config = {"model_data": DATA, "pytorch_version": str(torch.__version__)}
        generic = {
            "config": {"device": None},
            "data": DATA,
            "loader_module": "mlflow.pytorch",
            "pickle_module_name": PICKLE_MODULE,
        }
        return Saved(config=config, python_function=generic, modules=modules, takes_arrays=True)

    def load(self, folder: ModelFolder, trust: Trust) -> TorchPredictor:
        """The module on the CPU, or on the device of its configuration. Only a pt2 file needs no ``trust.code``."""
        config = folder.document.flavors[self.name]
        directory = folder.file(config.get("model_data", DATA))
        device = (folder.document.flavors.get("python_function", {}).get("config") or {}).get("device") or "cpu"
        exported = directory / "model.pt2"
        if exported.exists():
            model = torch.export.load(exported).module()
        else:
            trust.check_code("a pickled PyTorch module")
            model = _read_module(directory / "model.pth" if directory.is_dir() else directory, device)
            model.eval()
        first = next((each for each in model.parameters() if each.is_floating_point()), None)
        return TorchPredictor(model, device, None if first is None else first.dtype)


def _write_module(model: Any, file: Path, packing: Packing) -> frozenset[str]:
    if isinstance(model, torch.jit.ScriptModule):
        torch.jit.save(model, file)
        return frozenset()
    recording = packing.recording()
    torch.save(model, file, pickle_module=recording)
    return frozenset(recording.modules) | {"cloudpickle"}


def _read_module(file: Path, device: str) -> Any:
    with zipfile.ZipFile(file) as archive:
        scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
    if scripted:
        return torch.jit.load(file, map_location=device)
    return torch.load(file, map_location=device, weights_only=False)


FLAVOR = PyTorchFlavor()
