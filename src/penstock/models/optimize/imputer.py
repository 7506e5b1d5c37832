"""scikit-learn's SimpleImputer in double: the runtime's own Imputer knows only float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

from penstock.ground.errors import NotImplementedHere
from penstock.models.optimize.nodes import Writer


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Adds the nodes that put each column's statistic where a NaN is. Raises NotImplementedHere for other uses."""
    imputer, kind = operator.raw_operator, operator.inputs[0].type
    number = isinstance(kind, DoubleTensorType | FloatTensorType)
    if not number or imputer.indicator_ is not None or not np.isnan(imputer.missing_values):
        raise NotImplementedHere("Only an imputer of missing numbers, without indicators, is converted.")
    statistics = np.asarray(imputer.statistics_, np.float64)
    if np.isnan(statistics).any():
        raise NotImplementedHere("An imputer that drops columns is not converted.")
    writer = Writer(scope, container)
    rows = writer.add("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    filled = writer.add(
        "Where", [writer.add("IsNaN", [rows]), writer.constant(statistics[None, :]), rows], op_version=9
    )
    output = operator.outputs[0]
    to = TensorProto.DOUBLE if isinstance(output.type, DoubleTensorType) else TensorProto.FLOAT
    writer.add("Cast", [filled], output.full_name, to=to)
