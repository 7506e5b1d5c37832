"""Compiling a model folder: convert, prove, measure, and keep the compiled form beside the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from penstock.ground.errors import ModelFailed, NotImplementedHere
from penstock.ground.files import remove_tree, sha256_of
from penstock.models.columns import NdArray
from penstock.models.folder import ModelFolder
from penstock.models.load import LoadedModel, load_model, load_original
from penstock.models.optimize.attach import COMPILED_FILE, model_file, signature_sha256
from penstock.models.optimize.column_predictor import column_feed
from penstock.models.optimize.convert import Form, forms_of, one_input, to_onnx
from penstock.models.optimize.measure import measure
from penstock.models.optimize.predictor import CompiledAnswer
from penstock.models.optimize.probes import LIMIT, finite_probes, missing_probes
from penstock.models.optimize.prove import TOLERANCE, Probes, prove
from penstock.models.optimize.tables import (
    graph_inputs,
    known_categories,
    real_table,
    table_probes,
    used_columns,
    with_graph_names,
)
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
        subject = _of_array(model, rows) if model.predictor.takes_arrays else _of_columns(model, rows)
        verdict = _compiled(model, subject)
    except NotImplementedHere as refusal:
        verdict = Verdict(accepted=False, reason=refusal.message)
    rewrite(folder, **{FIELD: verdict.to_dict()})
    return verdict


class _Subject(Struct, frozen=True):
    """What is compiled: how its graph takes input, in which forms, and what to compare and measure it on.

    ``columns`` are the graph's inputs (none: it takes one array), ``known`` the categories of the text columns.
    """

    estimator: Any
    method: str
    forms: tuple[Form, ...]
    inputs: Callable[[Form], list[tuple[str, Any]]]
    probes: Probes
    batch_of: Callable[[int], Any]
    columns: tuple[str, ...] = ()
    known: Mapping[str, tuple[str, ...]] = {}


def _of_array(model: LoadedModel, rows: Any) -> _Subject:
    real = _real_rows(model, rows)
    estimator, method = model.predictor.native, model.predictor.method  # type: ignore[attr-defined]
    return _Subject(
        estimator=estimator,
        method=method,
        forms=forms_of(estimator, method),
        inputs=lambda form: one_input(form, real.shape[1]),
        probes=Probes(finite_probes(estimator, real), missing_probes(estimator, real)),
        batch_of=lambda size: real[np.arange(size) % len(real)],
    )


def _of_columns(model: LoadedModel, rows: Any) -> _Subject:
    real = real_table(model, rows)
    estimator, method = model.predictor.native, model.predictor.method  # type: ignore[attr-defined]
    columns = used_columns(estimator, model.inputs)  # type: ignore[arg-type]
    return _Subject(
        estimator=with_graph_names(estimator, tuple(columns)),
        method=method,
        forms=tuple(form for form in forms_of(estimator, method) if form.precision == "double"),
        inputs=lambda form: graph_inputs(estimator, columns),
        probes=table_probes(model, estimator, real),
        batch_of=lambda size: real.iloc[np.arange(size) % len(real)],
        columns=tuple(columns),
        known=known_categories(estimator),
    )


def _real_rows(model: LoadedModel, rows: Any) -> NdArray:
    dtype = _row_dtype(model)
    if dtype is None or not hasattr(model.predictor, "method"):
        raise NotImplementedHere("Only estimators that take numbers by order, or named columns, are compiled.")
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


def _compiled(model: LoadedModel, subject: _Subject) -> Verdict:
    """The verdict on the first form that is proven, whose folder is then written; else a refusal with every reason."""
    refusals = []
    for form in subject.forms:
        try:
            graph = to_onnx(subject.estimator, subject.method, form, subject.inputs(form))
            verdict = _attempt(model, subject, form, graph)
        except (NotImplementedHere, ModelFailed) as refusal:
            refusals.append(f"In {form.precision}: {refusal.message}")
            continue
        if verdict.accepted:
            return verdict
        refusals.append(f"In {form.precision}: {verdict.reason}")
    return Verdict(accepted=False, reason=" ".join(dict.fromkeys(refusals)))


def _attempt(model: LoadedModel, subject: _Subject, form: Form, graph: Any) -> Verdict:
    target = model.folder.path / DIRECTORY
    folder = save_model(graph, target, flavor="onnx", signature=False, onnx_session_options=SESSION,
                        onnx_execution_providers=["CPUExecutionProvider"])  # fmt: skip
    original = model.predictor.predict
    answer = np.asarray(original(subject.batch_of(1)))
    try:
        runner: Any = load_model(target).predictor
        session = CompiledAnswer(runner, answer.dtype, answer.ndim)
        compiled = (lambda frame: session(column_feed(frame, subject.columns))) if subject.columns else session
        proof = prove(original, compiled, subject.probes)
        if proof.reason is None:
            speed = measure(original, compiled, subject.batch_of)
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
                columns=subject.columns,
                known=dict(subject.known) if proof.known_only else {},
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
