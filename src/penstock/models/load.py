"""A model folder becomes a LoadedModel: the predictor, behind a check of what goes in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from penstock.ground.errors import ModelFailed, PenstockError
from penstock.models.columns import NdArray, array_of_rows, checked_array, common_dtype, values_by_column
from penstock.models.document import PYTHON_FUNCTION
from penstock.models.flavors.protocol import Predictor
from penstock.models.flavors.table import flavor_of_folder, get_flavor
from penstock.models.folder import ModelFolder, read_model_folder
from penstock.models.frames import checked_frame, frame_of_rows
from penstock.models.optimize.attach import with_compiled
from penstock.models.optimize.column_predictor import ColumnsPredictor
from penstock.models.optimize.predictor import OriginalNeeded
from penstock.models.parameters import checked_params
from penstock.models.schema import Schema
from penstock.models.tensors import checked_tensors
from penstock.models.trust import Trust, trust_from


class LoadedModel:
    """A model that answers: ``predict`` checks its input against the signature, then asks the model."""

    def __init__(self, folder: ModelFolder, predictor: Predictor) -> None:
        self.folder = folder
        self.signature = folder.signature
        self.predictor = predictor
        inputs = self.signature.inputs if self.signature else None
        self.array_dtype = common_dtype(inputs) if inputs and predictor.takes_arrays else None
        """The type of the array that stands for a table of the signature's columns; None: it needs a frame."""

    @property
    def inputs(self) -> Schema | None:
        """What it takes, or None when the folder does not say."""
        return self.signature.inputs if self.signature else None

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The answer to a frame, an array, a dict, a list or a single value, as the library gives it.

        Raises InvalidInput naming the column, the expected and the given type, and near names; ModelFailed when the
        model itself raises.
        """
        return self._answer(self._checked(data), params)

    def predict_rows(
        self, rows: Sequence[Any], names: Sequence[Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        """The answer to rows of loosely typed values (decoded JSON or CSV), under ``names`` or in the columns' order.

        No frame is built when the model takes arrays. Raises as ``predict``; a bad cell is named by row and column.
        """
        inputs = self.inputs
        if inputs is None and names is None and self.predictor.takes_arrays:
            return self._answer(np.asarray(rows), params)
        if inputs is not None and inputs.tensors:
            return self._answer(checked_tensors(inputs, rows), params)
        if inputs is not None and self.array_dtype is not None and _all_sent(inputs, names):
            return self._answer(array_of_rows(inputs, rows, names), params)
        answer = None if params else self._answer_columns(rows, names)
        return self._answer(frame_of_rows(inputs, rows, names), params) if answer is None else answer

    def _answer_columns(self, rows: Sequence[Any], names: Sequence[Any] | None) -> Any:
        """The compiled form's answer to rows of a model of columns, without a frame; None: it takes one."""
        inputs, predictor = self.inputs, self.predictor
        if not isinstance(predictor, ColumnsPredictor) or inputs is None or len(rows) > predictor.verdict.max_rows:
            return None
        columns = dict(zip(inputs.names, values_by_column(inputs, rows, names), strict=True))
        if any(columns[name] is None for name in predictor.verdict.columns):
            return None
        used = {name: columns[name] for name in predictor.verdict.columns}
        return _asked(lambda: predictor.answer_columns(used))

    def predict_array(self, array: NdArray) -> Any:
        """The answer to an array that is already right: ``array_dtype``, columns in order. Nothing is checked."""
        return self._answer(array, None)

    def _checked(self, data: Any) -> Any:
        inputs = self.inputs
        if inputs is None:
            return data
        if inputs.tensors:
            return checked_tensors(inputs, data)
        if self.array_dtype is not None and isinstance(data, np.ndarray) and data.ndim == 2:
            return checked_array(inputs, data)
        return checked_frame(inputs, data)

    def _answer(self, data: Any, params: Mapping[str, Any] | None) -> Any:
        schema = self.signature.params if self.signature else None
        checked = checked_params(schema, params) if params or schema else None
        return _asked(lambda: self.predictor.predict(data, checked))


def _asked(predict: Callable[[], Any]) -> Any:
    """The model's answer; what it raises of its own becomes ModelFailed."""
    try:
        return predict()
    except (PenstockError, OriginalNeeded):
        raise
    except Exception as error:
        raise ModelFailed(f"The model raised {type(error).__name__}: {error}") from error


def _all_sent(schema: Schema, names: Sequence[Any] | None) -> bool:
    """Whether no optional column is missing: a frame can leave one out, an array cannot."""
    return names is None or all(column.required or column.name in names for column in schema.columns)


def load_model(path: Path | str, *, trust: Trust | None = None) -> LoadedModel:
    """The model in the folder at ``path``, ready to answer. Loading a pickle or a code file runs code of the folder;
    ``trust`` says whether it may, by default as the environment does (PENSTOCK_TRUST).

    Beside a proven compiled form the original, and its library, are loaded when a request first needs them.

    Raises ModelFolderInvalid, EnvironmentMismatch when a library is missing, Forbidden when ``trust`` does not reach,
    ModelFailed when the model's own code raises while it loads.
    """
    folder = read_model_folder(Path(path))
    return LoadedModel(folder, with_compiled(folder, partial(_load_predictor, folder, trust or trust_from())))


def load_original(path: Path | str, *, trust: Trust | None = None) -> LoadedModel:
    """As ``load_model``, without the compiled form that the folder may hold."""
    folder = read_model_folder(Path(path))
    return LoadedModel(folder, _load_predictor(folder, trust or trust_from()))


def _load_predictor(folder: ModelFolder, trust: Trust) -> Predictor:
    flavor = get_flavor(flavor_of_folder(folder.document))
    _add_code(folder, trust)
    try:
        return flavor.load(folder, trust)
    except PenstockError:
        raise
    except Exception as error:
        raise ModelFailed(_load_failure(folder, error), fix=_load_fix(error)) from error


def _add_code(folder: ModelFolder, trust: Trust) -> None:
    """Puts the folder's ``code/`` first on sys.path, where the pickles' imports find it."""
    code = folder.document.flavors.get(PYTHON_FUNCTION, {}).get("code")
    if code:
        trust.check_code("its code/ directory")
        directory = str(folder.file(code))
        if directory not in sys.path:
            sys.path.insert(0, directory)


def _load_failure(folder: ModelFolder, error: Exception) -> str:
    return f"The model in {folder.path} does not load: {type(error).__name__}: {error}"


def _load_fix(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"Install what the model needs: pip install -r requirements.txt (it lacks {error.name!r})."
    return "Compare the installed versions with the folder's requirements.txt."
