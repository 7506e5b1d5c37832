"""Pickling that notes which modules loading will import: those of every class, function and module it meets."""

from __future__ import annotations

import dis
import io
import pickle
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle
import numpy as np

from penstock.ground.errors import InvalidInput
from penstock.models import python_model

_BY_NAME = (type, types.FunctionType, types.BuiltinFunctionType)


class _Recorder(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler, which also notes the module of every class, function and module it meets."""

    modules: set[str]

    def reducer_override(self, obj: Any) -> Any:
        reduced = super().reducer_override(obj)
        if isinstance(obj, types.ModuleType):
            self.modules.add(obj.__name__)
        elif isinstance(obj, types.CodeType):
            self.modules.update(_code_imports(obj))
        elif isinstance(obj, np.ufunc):
            self.modules.add(pickle.whichmodule(obj, obj.__name__))  # type: ignore[attr-defined]
        elif reduced is NotImplemented and isinstance(obj, _BY_NAME):  # pickled as "module, name"
            self.modules.add(obj.__module__ or "builtins")
        return reduced


class RecordingPickle:
    """A pickle module that records: what pickles with its ``Pickler`` leaves the modules it met in ``modules``."""

    __name__ = __name__  # PyTorch asks a pickle module for its name

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.Pickler: type[Any] = type("Pickler", (_Recorder,), {"modules": self.modules})


def pickled(model: Any) -> tuple[bytes, frozenset[str]]:
    """The cloudpickle bytes of ``model`` and the modules that loading and running them imports.

    Code that is carried by value (a class of a notebook) is looked into: ``import x`` inside a function counts.
    Raises InvalidInput naming the type that cannot be pickled.
    """
    recording = RecordingPickle()
    buffer = io.BytesIO()
    try:
        with _by_value(python_model):
            recording.Pickler(buffer).dump(model)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(
            f"The {type(model).__name__} cannot be pickled: {error}.",
            fix="Keep open files, locks and connections out of it, or make them in load_context.",
        ) from error
    return buffer.getvalue(), frozenset(recording.modules - {"__main__", "builtins", "__mp_main__"})


@contextmanager
def _by_value(module: types.ModuleType) -> Iterator[None]:
    """Pickles the classes of ``module`` whole, so that whoever loads the pickle needs no Penstock."""
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _code_imports(code: types.CodeType) -> Iterator[str]:
    """The modules that ``code`` imports when it runs, nested functions included."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_imports(constant)


def modules_of(model: Any) -> frozenset[str]:
    """The modules that ``model`` is made of. Raises InvalidInput when it cannot be pickled."""
    return pickled(model)[1]
