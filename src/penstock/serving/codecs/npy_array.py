"""numpy's own file format, one array a body."""

from __future__ import annotations

import io
from tokenize import TokenError
from typing import Any

import numpy as np

from penstock.ground.errors import InvalidInput
from penstock.models.load import LoadedModel
from penstock.serving.codecs.media import Media
from penstock.serving.http.types import Response
from penstock.serving.payload import Payload

_FIX = "Send what numpy.save writes for an array of numbers."


def decode_npy(body: bytes, model: LoadedModel, _max_bytes: int) -> Payload:
    """The payload of one array: a table's rows where the model takes columns, else the value itself."""
    array = array_of(body)
    inputs = model.inputs
    if inputs is not None and inputs.columns:
        return Payload(array.reshape(-1, 1) if array.ndim == 1 and len(inputs.columns) == 1 else _table(array))
    return Payload(value=array)


def _table(array: Any) -> Any:
    if array.ndim != 2:
        raise InvalidInput(f"The array has shape {array.shape}; the model takes a table.", fix="Send (rows, columns).")
    return array if array.dtype.kind in "biuf" else array.tolist()


def array_of(body: bytes) -> Any:
    """The array in ``body``, read without pickle and without believing the size its header states."""
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, EOFError, OverflowError, SyntaxError, RecursionError, TypeError, TokenError) as error:
        raise InvalidInput(f"The body is no npy file: {error}.", fix=_FIX) from None
    if dtype.hasobject:
        raise InvalidInput("The array holds Python objects, which are never unpickled here.", fix=_FIX)
    stated, there = dtype.itemsize, len(body) - file.tell()
    for length in shape:
        stated *= int(length)
    if stated != there or any(length < 0 for length in shape):
        raise InvalidInput(f"The npy file states {stated} bytes and holds {there}.", fix=_FIX)
    array = np.frombuffer(body, dtype, offset=file.tell()) if there else np.empty(0, dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def npy_answer(predictions: Any) -> Response:
    """The predictions as one array. Raises InvalidInput when they are none."""
    array = np.asarray(predictions)
    if array.dtype.hasobject:
        raise InvalidInput("The predictions are not an array of numbers.", fix="Accept application/json.")
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return Response(200, file.getvalue(), [("content-type", str(Media.NPY))])
