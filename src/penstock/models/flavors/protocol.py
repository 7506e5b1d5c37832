"""What a flavor is: one library's way into a model folder and out of it again. Built-ins and strangers share it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from penstock.models.folder import ModelFolder
from penstock.models.trust import Trust


class Packing(Protocol):
    """What a flavor is given to save with."""

    @property
    def folder(self) -> Path:
        """The new folder; files go straight into it."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The flavor's own options, as the caller spelled them."""

    def pickle(self, model: Any, name: str, *, protocol: str = "cloudpickle") -> frozenset[str]:
        """Writes ``model`` to the file ``name``, by "cloudpickle" or "pickle"; gives the modules it imports."""

    def recording(self) -> Any:
        """Something to hand to a library that pickles by itself (``pickle_module=``); its ``modules`` fill up."""

    def modules_of(self, model: Any) -> frozenset[str]:
        """The modules that ``model`` is made of, found as ``pickle`` finds them; nothing is written."""


class Saved(Struct, frozen=True, kw_only=True):
    """What a flavor wrote: MLmodel's tables for it, and what the model imports.

    ``config`` goes under the flavor's own name (None: it has none), ``python_function`` into the table that MLflow's
    generic loader reads. ``modules`` are those that loading imports; ``takes_arrays`` as the
    predictor will say.
    """

    config: Mapping[str, Any] | None
    python_function: Mapping[str, Any]
    modules: frozenset[str]
    takes_arrays: bool


class Predictor(Protocol):
    """A loaded model that answers.

    ``takes_arrays`` says that a numpy array whose columns are in the signature's order gives the same answer as a frame
    with their names; only then is ``predict`` handed arrays for a signature of columns.
    """

    @property
    def takes_arrays(self) -> bool: ...

    @property
    def native(self) -> Any:
        """The library's own object."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The model's answer to checked data: a frame, an array, a dict of arrays or what the signature says."""


class Flavor(Protocol):
    """One library's models. Its file imports the library at its top and is itself imported late, by the table."""

    @property
    def name(self) -> str:
        """The name of its table in MLmodel."""

    def save(self, model: Any, packing: Packing) -> Saved:
        """Writes the model's files. Raises InvalidInput for an option or a model it does not take."""

    def load(self, folder: ModelFolder, trust: Trust) -> Predictor:
        """The model, ready to answer. Raises Forbidden when ``trust`` does not allow what loading needs."""
