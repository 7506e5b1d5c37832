"""Python models: a class, a function or a code file of the user's own, with artifacts and configuration."""

from __future__ import annotations

import bz2
import gzip
import inspect
import lzma
import pickle
import runpy
import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.ground.errors import EnvironmentMismatch, InvalidInput, ModelFolderInvalid
from penstock.ground.files import ensure_directory
from penstock.models.distributions import find_distribution
from penstock.models.document import PYTHON_FUNCTION
from penstock.models.flavors.options import chosen
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.folder import ModelFolder
from penstock.models.imports import source_imports
from penstock.models.inference import is_frame
from penstock.models.python_model import FunctionModel, PythonModelContext, take_set_model
from penstock.models.trust import Trust

ARTIFACTS = "artifacts"
PICKLE = "python_model.pkl"
_OPEN: dict[str | None, Callable[[Path], Any]] = {
    None: lambda path: path.open("rb"),
    "lzma": lzma.open,
    "bzip2": bz2.open,
    "gzip": gzip.open,
}


class PythonPredictor(Struct, frozen=True):
    """A model of the user's own. It is given what the signature's check gives: a frame for columns.

    ``leading`` holds the context if its ``predict`` names one; ``hint`` is the declared type of its input.
    """

    native: Any
    leading: tuple[Any, ...]
    with_params: bool
    hint: str
    takes_arrays: bool = False

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Its answer; a frame becomes the list it declares: ``list[str]`` the first column, ``list[dict]`` the rows."""
        if self.hint and is_frame(data):
            data = data.iloc[:, 0].tolist() if self.hint == "list[str]" else data.to_dict(orient="records")
        keywords = {"params": params} if self.with_params else {}
        return self.native.predict(*self.leading, data, **keywords)


def _predictor(model: Any, context: Any) -> PythonPredictor:
    names = inspect.signature(model.predict).parameters
    declared = str(model.predict_type_hints.input) if hasattr(model, "predict_type_hints") else ""
    hint = declared.lower().removeprefix("typing.")
    hint = "list[str]" if hint == "list[str]" else "list[dict]" if hint.startswith("list[dict") else ""
    return PythonPredictor(model, (context,) if "context" in names else (), "params" in names, hint)


class _Loaded(Struct, frozen=True):
    """What some other module's ``_load_pyfunc`` gave."""

    native: Any
    takes_arrays: bool = False

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        with_params = "params" in inspect.signature(self.native.predict).parameters
        return self.native.predict(data, params=params) if with_params else self.native.predict(data)


class PythonFlavor:
    """MLflow's flavor "python_function"."""

    name = PYTHON_FUNCTION

    def save(self, model: Any, packing: Packing) -> Saved:
        """Options: ``artifacts`` (name -> local path), ``model_config``; ``model`` may be the path of a code file."""
        options = chosen(packing.options, self.name, artifacts=None, model_config=None)
        table: dict[str, Any] = {"streamable": hasattr(model, "predict_stream")}
        if options["artifacts"]:
            table["artifacts"] = _copy_artifacts(options["artifacts"], packing.folder)
        if options["model_config"]:
            table["config"] = dict(options["model_config"])
        if isinstance(model, str | Path):
            modules = _copy_source(Path(model), packing.folder)
            table |= {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": Path(model).name}
        else:
            modules = packing.pickle(_as_model(model), PICKLE)
            cloudpickle = find_distribution("cloudpickle")
            table |= {"loader_module": "mlflow.pyfunc.model", "python_model": PICKLE}
            table |= {"cloudpickle_version": cloudpickle.version} if cloudpickle else {}
        return Saved(config=None, python_function=table, modules=modules, takes_arrays=False)

    def load(self, folder: ModelFolder, trust: Trust) -> PythonPredictor | _Loaded:
        trust.check_code("a Python model")
        table = folder.document.flavors[PYTHON_FUNCTION]
        if "model_code_path" in table:
            model = _run_source(folder.file(Path(str(table["model_code_path"])).name))
        elif "python_model" in table:
            model = _unpickle(folder.file(table["python_model"]), table.get("python_model_compression"))
        else:
            return _by_loader_module(folder, table)
        model = _as_model(model)
        context = PythonModelContext(_artifact_paths(folder, table), table.get("config"))
        if hasattr(model, "load_context"):
            model.load_context(context)
        return _predictor(model, context)


def _as_model(model: Any) -> Any:
    if hasattr(model, "predict"):
        return model
    if callable(model) and not isinstance(model, type):
        return FunctionModel(model)
    raise InvalidInput(f"{model!r} has no predict.", fix="Give an instance of a PythonModel, a function or a .py file.")


def _copy_artifacts(artifacts: Mapping[str, Any], folder: Path) -> dict[str, dict[str, str]]:
    table = {}
    for name, given in artifacts.items():
        source = Path(str(given).removeprefix("file://"))
        if not source.exists():
            raise InvalidInput(f"The artifact {name!r} is at {given}, which does not exist.", fix="Correct the path.")
        target = ensure_directory(folder / ARTIFACTS) / source.name
        if target.exists():
            raise InvalidInput(f"Two artifacts are called {source.name!r}.", fix="Rename one of the files.")
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        table[name] = {"path": f"{ARTIFACTS}/{source.name}", "uri": str(given)}
    return table


def _artifact_paths(folder: ModelFolder, table: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(folder.file(entry.get("path"))) for name, entry in (table.get("artifacts") or {}).items()}


def _copy_source(source: Path, folder: Path) -> frozenset[str]:
    if source.suffix != ".py" or not source.is_file():
        raise InvalidInput(f"{source} is not a Python file.", fix="Give the path of a .py file that calls set_model.")
    modules = source_imports((source,))
    shutil.copy2(source, folder / source.name)
    return modules


def _run_source(file: Path) -> Any:
    take_set_model()
    runpy.run_path(str(file), run_name="penstock_model")
    model = take_set_model()
    if model is None:
        raise ModelFolderInvalid(f"{file.name} names no model.", fix="Call penstock.pyfunc.set_model(model) in it.")
    return model


def _unpickle(file: Path, compression: str | None) -> Any:
    if compression not in _OPEN:
        raise ModelFolderInvalid(f"The compression {compression!r} of {file.name} is not known.")
    with _OPEN[compression](file) as stream:
        return pickle.load(stream)


def _by_loader_module(folder: ModelFolder, table: Mapping[str, Any]) -> _Loaded:
    """The model as the module that MLmodel names loads it: a loader in ``code/``, or MLflow's own for its flavor."""
    name = str(table.get("loader_module"))
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            f"The model is loaded by {name}, which is not installed.", fix=f"pip install {name.partition('.')[0]}."
        ) from error
    data = table.get("model_path") or table.get("data")
    path = str(folder.path if data is None else folder.file(data))
    with_config = "config" in table and len(inspect.signature(module._load_pyfunc).parameters) > 1
    return _Loaded(module._load_pyfunc(path, table["config"]) if with_config else module._load_pyfunc(path))


FLAVOR = PythonFlavor()
