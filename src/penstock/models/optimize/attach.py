"""Putting a proven compiled form beside the loaded original, if the folder holds one that still belongs to it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.files import sha256_of
from penstock.models.document import PYTHON_FUNCTION
from penstock.models.flavors.protocol import Predictor
from penstock.models.flavors.table import get_flavor
from penstock.models.folder import ModelFolder, read_model_folder
from penstock.models.optimize.column_predictor import ColumnsPredictor
from penstock.models.optimize.predictor import CompiledAnswer, OptimizedPredictor, Original
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


def with_compiled(folder: ModelFolder, load: Callable[[], Predictor]) -> Predictor:
    """What ``load`` gives, or the pair of it and its compiled form where one was accepted and is worth it.

    Beside a compiled form the original is loaded when it is first needed. A compiled form that does not belong to these
    files or to this signature, or that cannot run here, is left out with a warning.
    """
    verdict = find_verdict(folder)
    if verdict is None or not verdict.accepted or not verdict.max_rows:
        return load()
    answer = _compiled_answer(folder, verdict)
    if answer is None:
        return load()
    if verdict.columns:
        known = {name: frozenset(values) for name, values in verdict.known.items()}
        return ColumnsPredictor(Original(load), answer, verdict, known)
    if verdict.signature_sha256:
        return OptimizedPredictor(Original(load), answer, verdict)
    loaded = load()  # verdicts of before did not say for which signature they are, so it has to tell by itself
    return OptimizedPredictor(loaded, answer, verdict) if loaded.takes_arrays else loaded


def signature_sha256(folder: ModelFolder) -> str:
    """The digest of what the folder says it takes: a changed order of columns would mean other rows."""
    inputs = folder.signature.inputs if folder.signature else None
    return hashlib.sha256((inputs.to_json() if inputs else "").encode()).hexdigest()


def _compiled_answer(folder: ModelFolder, verdict: Verdict) -> CompiledAnswer | None:
    compiled = folder.path / DIRECTORY
    digests = (sha256_of(model_file(folder)), sha256_of(folder.file(f"{DIRECTORY}/{COMPILED_FILE}")))
    changed = digests != (verdict.original_sha256, verdict.compiled_sha256)
    if changed or verdict.signature_sha256 not in ("", signature_sha256(folder)):
        _left_out("the files have changed since", "Optimize the folder again.")
        return None
    try:
        session: Any = get_flavor("onnx").load(read_model_folder(compiled), DATA_ONLY)
    except EnvironmentMismatch as error:
        _left_out(error.message, str(error.fix))
        return None
    return CompiledAnswer(session, np.dtype(verdict.answer_dtype), verdict.answer_axes)


def _left_out(reason: str, fix: str) -> None:
    warnings.warn(f"The compiled form is not used: {reason} {fix}", stacklevel=5)
