"""The table of flavors, and which of them a model is of. A flavor's file is imported when it is first needed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.ground.errors import EnvironmentMismatch, InvalidInput, NotFound
from penstock.ground.names import near
from penstock.models.document import PYTHON_FUNCTION, MLmodel
from penstock.models.flavors.protocol import Flavor

ENTRY_POINTS = "penstock.flavors"


class Entry(Struct, frozen=True):
    """A flavor that is known: its name, the file with its ``FLAVOR``, and whose classes it takes.

    ``roots`` are the packages whose classes (or subclasses) are its models; ``extra`` is what installs the library.
    """

    name: str
    module: str
    roots: tuple[str, ...]
    extra: str


_HERE = "penstock.models.flavors"
BUILT_IN: tuple[Entry, ...] = (
    Entry("sklearn", f"{_HERE}.sklearn", ("sklearn",), "scikit-learn"),
    Entry("xgboost", f"{_HERE}.xgboost", ("xgboost",), "xgboost"),
    Entry("lightgbm", f"{_HERE}.lightgbm", ("lightgbm",), "lightgbm"),
    Entry("onnx", f"{_HERE}.onnx", ("onnx",), "onnxruntime"),
    Entry("pytorch", f"{_HERE}.pytorch", ("torch",), "torch"),
    Entry("keras", f"{_HERE}.keras", ("keras",), "keras"),
    Entry("tensorflow", f"{_HERE}.tensorflow", ("tensorflow",), "tensorflow"),
    Entry(PYTHON_FUNCTION, f"{_HERE}.pyfunc", (), "cloudpickle"),
)


@cache
def list_flavors() -> tuple[Entry, ...]:
    """The built-in flavors, then those that installed packages announce under "penstock.flavors"."""
    return (*BUILT_IN, *_announced())


def _announced() -> tuple[Entry, ...]:
    """Third parties' flavors. An entry point ``catboost = "mine.catboost"`` names a module with FLAVOR and ROOTS."""
    found = []
    for point in entry_points(group=ENTRY_POINTS):
        module = import_module(point.module)
        found.append(Entry(point.name, point.module, tuple(getattr(module, "ROOTS", ())), point.name))
    return tuple(found)


def get_flavor(name: str) -> Flavor:
    """The flavor called ``name``. Raises NotFound, or EnvironmentMismatch when its library is not installed."""
    for entry in list_flavors():
        if entry.name == name:
            return _flavor(entry)
    known = [entry.name for entry in list_flavors()]
    raise NotFound(f"There is no flavor {name!r}.{near(name, known)}", fix=f"Known flavors: {', '.join(known)}.")


@cache
def _flavor(entry: Entry) -> Flavor:
    try:
        flavor: Flavor = import_module(entry.module).FLAVOR
    except ImportError as error:
        raise EnvironmentMismatch(
            f"The flavor {entry.name!r} needs {error.name!r}, which is not installed.",
            fix=f"pip install {entry.extra}.",
        ) from error
    return flavor


def flavor_of_model(model: Any) -> str:
    """The name of the flavor that takes ``model``: told from its classes, nothing is imported. Raises InvalidInput."""
    if is_python_model(model):
        return PYTHON_FUNCTION
    for base in type(model).__mro__:
        root = base.__module__.partition(".")[0]
        for entry in list_flavors():
            if root in entry.roots:
                return entry.name
    if (callable(model) and not isinstance(model, type)) or isinstance(model, Path):
        return PYTHON_FUNCTION
    raise InvalidInput(
        f"No flavor takes a {type(model).__module__}.{type(model).__qualname__}.",
        fix="Wrap it in a function, or in a class derived from penstock.pyfunc.PythonModel.",
    )


def is_python_model(model: Any) -> bool:
    """Whether ``model`` derives from a class PythonModel, ours or MLflow's."""
    return any(base.__name__ == "PythonModel" for base in type(model).__mro__)


def flavor_of_folder(document: MLmodel) -> str:
    """The name of the flavor to load with: a library's own where it is known, else python_function.

    Raises EnvironmentMismatch naming the folder's flavors when none is known.
    """
    known = [entry.name for entry in list_flavors() if entry.name != PYTHON_FUNCTION]
    for name in known:
        if name in document.flavors:
            return name
    if PYTHON_FUNCTION in document.flavors:
        return PYTHON_FUNCTION
    theirs = ", ".join(sorted(document.flavors)) or "none"
    raise EnvironmentMismatch(
        f"The model's flavors ({theirs}) are not known here.", fix=f"Known are {', '.join((*known, PYTHON_FUNCTION))}."
    )
