"""Putting a proven compiled form beside the loaded original, if the folder holds one that still belongs to it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.files import sha256_of
from penstock.models.document import PYTHON_FUNCTION
from penstock.models.flavors.protocol import Predictor
from penstock.models.flavors.table import get_flavor
from penstock.models.folder import ModelFolder, read_model_folder
from penstock.models.optimize.predictor import CompiledAnswer, OptimizedPredictor
from penstock.models.optimize.verdict import DIRECTORY, FIELD, Verdict
from penstock.models.trust import DATA_ONLY

COMPILED_FILE = "model.onnx"


def find_verdict(folder: ModelFolder) -> Verdict | None:
    """The verdict that the folder keeps, or None if nobody tried to compile it. Raises ModelFolderInvalid."""
    table = folder.document.table.get(FIELD)
    return None if table is None else Verdict.from_dict(table)


def model_file(folder: ModelFolder) -> Path:
    """The file that holds the original model. Raises ModelFolderInvalid."""
    table = folder.document.flavors[PYTHON_FUNCTION]
    return folder.file(table.get("model_path") or table.get("data"))


def with_compiled(folder: ModelFolder, original: Predictor) -> Predictor:
    """``original``, or the pair of it and its compiled form where one was accepted and is worth it.

    A compiled form that does not belong to these files, or that cannot run here, is left out with a warning.
    """
    verdict = find_verdict(folder)
    if verdict is None or not verdict.accepted or not verdict.max_rows or not original.takes_arrays:
        return original
    compiled = folder.path / DIRECTORY
    digests = (sha256_of(model_file(folder)), sha256_of(folder.file(f"{DIRECTORY}/{COMPILED_FILE}")))
    if digests != (verdict.original_sha256, verdict.compiled_sha256):
        _left_out("the files have changed since", "Optimize the folder again.")
        return original
    try:
        session = get_flavor("onnx").load(read_model_folder(compiled), DATA_ONLY)
    except EnvironmentMismatch as error:
        _left_out(error.message, str(error.fix))
        return original
    answer = CompiledAnswer(session, np.dtype(verdict.answer_dtype), verdict.answer_axes)
    return OptimizedPredictor(original, answer, verdict)


def _left_out(reason: str, fix: str) -> None:
    warnings.warn(f"The compiled form is not used: {reason} {fix}", stacklevel=4)
