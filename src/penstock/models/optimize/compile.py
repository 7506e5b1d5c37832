"""Compiling a model folder: convert, prove, measure, and keep the compiled form beside the original."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.ground.errors import ModelFailed, NotImplementedHere
from penstock.ground.files import remove_tree, sha256_of
from penstock.models.columns import NdArray
from penstock.models.folder import ModelFolder
from penstock.models.load import LoadedModel, load_model, load_original
from penstock.models.optimize.attach import COMPILED_FILE, model_file, signature_sha256
from penstock.models.optimize.convert import Form, forms_of, to_onnx
from penstock.models.optimize.measure import measure
from penstock.models.optimize.predictor import CompiledAnswer
from penstock.models.optimize.probes import LIMIT
from penstock.models.optimize.prove import TOLERANCE, prove
from penstock.models.optimize.verdict import DIRECTORY, FIELD, Verdict, largest_batch
from penstock.models.pack import rewrite, save_model
from penstock.models.trust import TRUSTED, Trust

SESSION = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}


def optimize(folder: ModelFolder, *, rows: Any = None, trust: Trust = TRUSTED) -> Verdict:
    """The verdict on a compiled form of the model, which is kept in ``optimized/`` if it is proven equal.

    ``rows`` are real input rows (an array or a frame, columns in order); by default the input example. MLmodel's
    ``penstock_optimized`` keeps the verdict, a refusal with its reason too. Raises as ``load_model``.
    """
    remove_tree(folder.path / DIRECTORY)
    model = load_original(folder.path, trust=trust)
    try:
        verdict = _compiled(model, _real_rows(model, rows))
    except NotImplementedHere as refusal:
        verdict = Verdict(accepted=False, reason=refusal.message)
    rewrite(folder, **{FIELD: verdict.to_dict()})
    return verdict


def _real_rows(model: LoadedModel, rows: Any) -> NdArray:
    dtype = _row_dtype(model)
    if dtype is None or not hasattr(model.predictor, "method"):
        raise NotImplementedHere("Only estimators that take numbers by column order are compiled.")
    if rows is None:
        example = model.folder.input_example()
        if example is None:
            raise NotImplementedHere("There is neither an input example nor other rows to compare on.")
        rows = [[np.nan if value is None else value for value in row] for row in example.rows()]
    array: NdArray = np.asarray(rows, dtype=dtype)
    usable: NdArray = array[np.isfinite(array).all(axis=1)]
    if not len(usable):
        raise NotImplementedHere("There is no row without missing values to compare on.")
    return usable


def _row_dtype(model: LoadedModel) -> Any:
    """The type of its rows: of its columns together, or of its one array of two axes; else None."""
    tensors = model.inputs.tensors if model.inputs else ()
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].dtype.startswith("float"):
        return np.dtype(tensors[0].dtype)
    return model.array_dtype


def _compiled(model: LoadedModel, rows: NdArray) -> Verdict:
    """The verdict on the first form that is proven, whose folder is then written; else a refusal with every reason."""
    estimator, method = model.predictor.native, model.predictor.method  # type: ignore[attr-defined]
    refusals = []
    for form in forms_of(estimator, method):
        try:
            verdict = _attempt(model, rows, form, to_onnx(estimator, method, form, n_columns=rows.shape[1]))
        except (NotImplementedHere, ModelFailed) as refusal:
            refusals.append(f"In {form.precision}: {refusal.message}")
            continue
        if verdict.accepted:
            return verdict
        refusals.append(f"In {form.precision}: {verdict.reason}")
    return Verdict(accepted=False, reason=" ".join(dict.fromkeys(refusals)))


def _attempt(model: LoadedModel, rows: NdArray, form: Form, graph: Any) -> Verdict:
    target = model.folder.path / DIRECTORY
    folder = save_model(graph, target, flavor="onnx", signature=False, onnx_session_options=SESSION,
                        onnx_execution_providers=["CPUExecutionProvider"])  # fmt: skip
    original = model.predictor.predict
    answer = np.asarray(original(rows[:1]))
    try:
        compiled = CompiledAnswer(load_model(target).predictor, answer.dtype, answer.ndim)
        proof = prove(original, compiled, model.predictor.native, rows)
        if proof.reason is None:
            speed = measure(original, compiled, rows)
            return Verdict(
                accepted=True,
                precision=form.precision,
                rows_compared=proof.rows_compared,
                largest_difference=proof.largest_difference,
                tolerance=TOLERANCE,
                finite_only=proof.finite_only,
                limit=LIMIT,
                max_rows=largest_batch(speed),
                speed=speed,
                answer_dtype=answer.dtype.str,
                answer_axes=answer.ndim,
                original_sha256=sha256_of(model_file(model.folder)),
                compiled_sha256=sha256_of(folder.path / COMPILED_FILE),
                signature_sha256=signature_sha256(model.folder),
            )
        remove_tree(target)
    except BaseException:
        remove_tree(target)
        raise
    return Verdict(accepted=False, reason=proof.reason)
