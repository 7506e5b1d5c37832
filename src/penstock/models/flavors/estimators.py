"""Answering with estimators of scikit-learn's shape, from whichever library; pickled and skops files of them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.ground.errors import EnvironmentMismatch, Forbidden
from penstock.models.flavors.protocol import Packing
from penstock.models.flavors.unnamed import without_feature_names
from penstock.models.folder import ModelFolder
from penstock.models.inference import is_frame
from penstock.models.trust import Trust

FORMATS = {"cloudpickle": "model.pkl", "pickle": "model.pkl", "skops": "model.skops"}


class EstimatorPredictor(Struct, frozen=True):
    """An estimator. ``unnamed`` is its twin that was never told column names, or None where the names matter."""

    native: Any
    unnamed: Any
    method: str = "predict"

    @property
    def takes_arrays(self) -> bool:
        return self.unnamed is not None

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The estimator's answer; ``params`` go to its method as keywords."""
        estimator = self.native
        if not is_frame(data):
            estimator = self.native if self.unnamed is None else self.unnamed
        elif self.unnamed is not None and not hasattr(self.native, "feature_names_in_"):
            data = data.to_numpy()
        return getattr(estimator, self.method)(data, **(params or {}))


def estimator_predictor(estimator: Any, folder: ModelFolder, method: str = "predict") -> EstimatorPredictor:
    """The predictor of ``estimator``; it takes arrays unless the signature has its columns in another order."""
    trained = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    signature = folder.signature
    named = [str(name) for name in signature.inputs.names] if signature and signature.inputs else []
    reordered = named != trained and sorted(named) == sorted(trained)
    return EstimatorPredictor(estimator, None if reordered else without_feature_names(estimator), method)


def write_estimator(estimator: Any, packing: Packing, written: str) -> frozenset[str]:
    """Writes ``estimator`` as ``FORMATS[written]``; gives the modules that loading imports."""
    if written != "skops":
        return packing.pickle(estimator, FORMATS[written], protocol=written)
    _skops().dump(estimator, packing.folder / FORMATS[written])
    return packing.modules_of(estimator) | {"skops"}


def read_estimator(file: Path, written: str, trust: Trust) -> Any:
    """The estimator; a pickle needs ``trust.code``, skops builds only its own types and ``trust.types``."""
    if written == "skops":
        return _read_skops(file, trust)
    trust.check_code("a pickled estimator")
    with file.open("rb") as stream:
        return pickle.load(stream)


def _read_skops(file: Path, trust: Trust) -> Any:
    io = _skops()
    unknown = sorted(set(io.get_untrusted_types(file=file)) - set(trust.types))
    if unknown:
        raise Forbidden(
            f"The skops file builds types that nobody vouched for: {', '.join(unknown)}.",
            fix="If you know them, load it with Trust(types=(...)); the folder's own list is never believed.",
        )
    return io.load(file, trusted=list(trust.types))


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise EnvironmentMismatch("The format skops needs the package skops.", fix="pip install skops.") from error
    return skops.io
