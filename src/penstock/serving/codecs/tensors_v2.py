"""KServe v2 (Open Inference Protocol) bodies: named tensors in and out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.models.inference import is_frame, is_series
from penstock.models.schema import Schema
from penstock.serving.codecs.json_forms import decoded
from penstock.serving.http.types import Response
from penstock.serving.payload import Payload

_DTYPES: dict[str, Any] = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "BYTES": np.object_,
}  # fmt: skip
_NAMES: dict[Any, str] = {np.dtype(kind): name for name, kind in _DTYPES.items()}


class InputTensor(Struct):
    """One tensor of a request; ``data`` is flat or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferRequest(Struct):
    """The body of an infer request; what we do not use is left alone."""

    inputs: list[InputTensor]
    id: str | None = None


def decode_request(body: bytes) -> InferRequest:
    """The request. Raises InvalidInput naming the place of what does not fit."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The body is no infer request: {error}.", fix="See the Open Inference Protocol.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return msgspec.convert(decoded(body), InferRequest)  # NaN and Infinity, which clients do write
        except msgspec.ValidationError as error:
            raise InvalidInput(f"The body is no infer request: {error}.") from None


_DECODER = msgspec.json.Decoder(InferRequest)


def payload_of(request: InferRequest, inputs: Schema | None) -> Payload:
    """The payload: tensors by name for a signature of tensors; for one of columns a tensor a column, or one table."""
    arrays = {tensor.name: _array(tensor) for tensor in request.inputs}
    if not arrays:
        raise InvalidInput("The request has no inputs.", fix="Send at least one tensor.")
    if len(arrays) != len(request.inputs):
        raise InvalidInput("Two inputs have the same name.", fix="Give every tensor a name of its own.")
    first = next(iter(arrays.values()))
    if inputs is None:
        return Payload(value=first if len(arrays) == 1 else arrays)
    if inputs.tensors:
        alone = len(inputs.tensors) == 1 and len(arrays) == 1 and inputs.tensors[0].name not in arrays
        return Payload(value=first) if alone else Payload(value=arrays)
    known = {str(name) for name in inputs.names}
    if len(arrays) == 1 and first.ndim == 2 and not known.intersection(arrays):
        return Payload(first.tolist() if first.dtype.hasobject else _widened(first))
    columns = {name: array.reshape(-1).tolist() for name, array in arrays.items()}
    if len({len(values) for values in columns.values()}) > 1:
        raise InvalidInput("The inputs have different lengths.", fix="Send one value a row in each.")
    return Payload([list(row) for row in zip(*columns.values(), strict=True)], tuple(columns))


def _widened(array: Any) -> Any:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _array(tensor: InputTensor) -> Any:
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        raise InvalidInput(
            f"The input {tensor.name!r} has the datatype {tensor.datatype!r}.", fix=f"Use one of {', '.join(_DTYPES)}."
        )
    try:
        array: Any = np.asarray(tensor.data, dtype=np.float32 if dtype is np.float16 else dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput(f"The input {tensor.name!r} is no {tensor.datatype}: {error}.") from None
    if any(length < 0 for length in tensor.shape) or math.prod(tensor.shape) != array.size:
        raise InvalidInput(
            f"The input {tensor.name!r} has {array.size} values; its shape {tensor.shape} states others.",
            fix="Send as many values as the shape has places.",
        )
    return array.reshape(tensor.shape)


def encode_response(predictions: Any, *, model: str, version: str, request_id: str | None) -> Response:
    """The infer response; a frame or a dict gives one output a column, anything else one called 'output-0'."""
    body: dict[str, Any] = {
        "model_name": model,
        "model_version": version,
        "outputs": [_output(name, values) for name, values in _outputs(predictions).items()],
    }
    if request_id is not None:
        body["id"] = request_id
    return Response(200, msgspec.json.encode(body, enc_hook=str), [("content-type", "application/json")])


def _outputs(predictions: Any) -> dict[str, Any]:
    if is_frame(predictions):
        return {str(name): predictions[name].to_numpy() for name in predictions.columns}
    if is_series(predictions):
        return {str(predictions.name or "output-0"): predictions.to_numpy()}
    if isinstance(predictions, Mapping):
        return {str(name): np.asarray(values) for name, values in predictions.items()}
    return {"output-0": np.asarray(predictions)}


def _output(name: str, array: Any) -> dict[str, Any]:
    kind = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype
    datatype = _NAMES.get(kind, "BYTES")
    flat = array.reshape(-1).tolist()
    if datatype == "BYTES":
        flat = [each if isinstance(each, str) else str(each) for each in flat]
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": flat}


def metadata(schema: Schema | None) -> list[dict[str, Any]]:
    """A signature's part as the tensors that model metadata lists."""
    if schema is None:
        return []
    if schema.tensors:
        return [
            {"name": each.name or "input-0", "datatype": _NAMES.get(np.dtype(each.dtype), "BYTES"),
             "shape": list(each.shape)}
            for each in schema.tensors
        ]  # fmt: skip
    return [
        {"name": str(name), "datatype": _NAMES.get(getattr(column.type, "numpy", np.dtype(object)), "BYTES"),
         "shape": [-1]}
        for name, column in zip(schema.names, schema.columns, strict=True)
    ]  # fmt: skip
