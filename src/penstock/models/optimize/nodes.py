"""From the sums of trees to an estimator's answer, in nodes of skl2onnx's container."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from msgspec import Struct
from onnx import TensorProto, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType

from penstock.models.optimize.ensemble import DOMAIN, Tree, ensemble_attributes


class Link(StrEnum):
    """What turns a sum into a number or a probability."""

    IDENTITY = "identity"
    EXP = "exp"
    LOGISTIC = "logistic"
    LOGISTIC_TWICE = "logistic of the double"
    SOFTMAX = "softmax"


class Sums(Struct, frozen=True):
    """Trees to add up, and what becomes of the sums.

    ``single`` rounds the rows to float32 first, as scikit-learn's trees do. ``positive_is_zero``: a sum of exactly zero
    means the second class. ``divisor`` makes a mean of the sum. ``dtype`` is what the library adds up in, and ``below``
    says that its trees send a value equal to a cut to the right.
    """

    trees: list[Tree]
    n_targets: int
    link: Link
    single: bool = False
    positive_is_zero: bool = False
    divisor: int = 1
    dtype: str = "float64"
    below: bool = False

    def number(self, value: float) -> Any:
        """``value`` in the type of the sums."""
        return np.dtype(self.dtype).type(value)


class Writer:
    """Adds nodes one after another, making up the names between them."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Adds a node; gives the name of its output."""
        name = output or self._scope.get_unique_variable_name(kind.lower())
        attributes.setdefault("op_version", 13)
        self._container.add_node(kind, inputs, name, name=self._scope.get_unique_operator_name(kind), **attributes)
        return name

    def constant(self, values: Any) -> str:
        """Adds a constant tensor; gives its name."""
        name: str = self._scope.get_unique_variable_name("constant")
        tensor = numpy_helper.from_array(np.asarray(values), name)
        self._container.add_initializer(name, tensor.data_type, None, tensor)
        return name


def write_sums(scope: Any, operator: Any, container: Any, sums: Sums) -> None:
    """Adds the nodes from rows to the operator's outputs: a number, or a label and probabilities."""
    writer = Writer(scope, container)
    rows = operator.inputs[0].full_name
    if sums.single:
        rows = writer.add("Cast", [rows], to=TensorProto.FLOAT)
    rows = writer.add("Cast", [rows], to=TensorProto.DOUBLE if sums.dtype == "float64" else TensorProto.FLOAT)
    attributes = ensemble_attributes(sums.trees, sums.n_targets, dtype=sums.dtype, below=sums.below)
    raw = writer.add("TreeEnsemble", [rows], op_domain=DOMAIN, op_version=1, **attributes)
    if sums.divisor != 1:
        raw = writer.add("Div", [raw, writer.constant(sums.number(sums.divisor))], op_version=14)
    if hasattr(operator.raw_operator, "classes_"):
        _classify(writer, operator, raw, sums)
    else:
        number = writer.add("Exp", [raw]) if sums.link is Link.EXP else raw
        _finish(writer, number, operator.outputs[0])


def _finish(writer: Writer, name: str, output: Any) -> None:
    double = isinstance(output.type, DoubleTensorType)
    writer.add("Cast", [name], output.full_name, to=TensorProto.DOUBLE if double else TensorProto.FLOAT)


def _classify(writer: Writer, operator: Any, raw: str, sums: Sums) -> None:
    label, probabilities = operator.outputs
    if sums.link is Link.SOFTMAX:
        place = writer.add("ArgMax", [raw], axis=1, keepdims=0)
        shares = writer.add("Softmax", [raw], axis=1)
    else:
        place = _binary_place(writer, raw, sums)
        shares = _binary_shares(writer, raw, sums)
    _finish(writer, shares, probabilities)
    writer.add("Gather", [class_labels(writer, operator.raw_operator.classes_), place], label.full_name, axis=0)


def _binary_place(writer: Writer, raw: str, sums: Sums) -> str:
    """The number of the class, shape (n_rows,): 1 where the sum is above zero (or zero, if that counts)."""
    flat = writer.add("Reshape", [raw, writer.constant(np.array([-1]))], op_version=14)
    kind, since = ("GreaterOrEqual", 16) if sums.positive_is_zero else ("Greater", 13)
    positive = writer.add(kind, [flat, writer.constant(sums.number(0))], op_version=since)
    return writer.add("Cast", [positive], to=TensorProto.INT64)


def _binary_shares(writer: Writer, raw: str, sums: Sums) -> str:
    if sums.link is Link.LOGISTIC_TWICE:
        raw = writer.add("Mul", [raw, writer.constant(sums.number(2))], op_version=14)
    positive = writer.add("Sigmoid", [raw])
    negative = writer.add("Sub", [writer.constant(sums.number(1)), positive], op_version=14)
    return writer.add("Concat", [negative, positive], axis=1)


def class_labels(writer: Writer, classes: Any) -> str:
    """A constant of the classes: text, or whole numbers (which stand for floats and truths as well)."""
    text = classes.dtype.kind not in "biuf"
    return writer.constant(np.array([str(each) for each in classes], object) if text else classes.astype(np.int64))
