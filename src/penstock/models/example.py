"""The input example: a small piece of real input, kept beside the model as MLflow keeps it, in two JSON files."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from penstock.ground.errors import InvalidInput, ModelFolderInvalid
from penstock.ground.files import write_atomically
from penstock.models.inference import as_array, is_frame, is_sparse, is_tensor

EXAMPLE = "input_example.json"
SERVING_EXAMPLE = "serving_input_example.json"


class InputExample(Struct, frozen=True):
    """An example as it lies in the folder.

    ``kind`` is MLflow's word (dataframe, ndarray, json_object, sparse_matrix_csr, sparse_matrix_csc); ``content`` the
    decoded JSON without the parameters, which are in ``params``.
    """

    kind: str
    content: Any
    params: Mapping[str, Any] | None = None

    def columns(self) -> tuple[str, ...] | None:
        """The names of a frame's columns, or None."""
        return tuple(self.content["columns"]) if self.kind == "dataframe" and "columns" in self.content else None

    def rows(self) -> list[Any]:
        """The rows: lists for frames and arrays, whatever was in it for a list. Raises InvalidInput for the others."""
        if self.kind == "dataframe":
            return self.content["data"]  # type: ignore[no-any-return]
        if isinstance(self.content, list):
            return self.content
        raise InvalidInput(f"An input example of kind {self.kind!r} has no rows.")

    def data(self) -> Any:
        """What ``predict`` takes: an array, a dict of arrays, or the decoded JSON; frames stay as rows and columns."""
        if self.kind != "ndarray":
            return self.content
        if isinstance(self.content, dict):
            return {name: np.asarray(value) for name, value in self.content.items()}
        return np.asarray(self.content)

    def payload(self) -> dict[str, Any]:
        """The JSON body that a model server takes for it, e.g. ``{"inputs": [[5.1, 3.5]]}``."""
        body = {"dataframe_split": self.content} if self.kind == "dataframe" else {"inputs": self.content}
        return body if self.params is None else {**body, "params": dict(self.params)}


def write_example(data: Any, folder: Path) -> dict[str, Any]:
    """Writes ``data`` (or a tuple of data and params) into ``folder``; gives MLmodel's ``saved_input_example_info``.

    Raises InvalidInput when it cannot be kept as JSON.
    """
    data, params = data if _has_params(data) else (data, None)
    example = InputExample(*_encode(data), params=params)
    content = example.content if params is None else {"inputs": example.content, "params": params}
    write_atomically(folder / EXAMPLE, _dump(content).encode())
    info = {"artifact_path": EXAMPLE, "type": example.kind, "serving_input_path": SERVING_EXAMPLE}
    if example.kind == "dataframe":
        info["pandas_orient"] = "split" if "columns" in example.content else "values"
    if params is not None:
        info["params"] = "true"
    if example.kind.startswith("sparse"):
        example = InputExample("ndarray", _without_nan(data.toarray()), params)
    write_atomically(folder / SERVING_EXAMPLE, _dump(example.payload(), indent=2).encode())
    return info


def read_example(file: Path, info: Mapping[str, Any]) -> InputExample:
    """The example that MLmodel's ``saved_input_example_info`` describes. Raises ModelFolderInvalid."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFolderInvalid(f"{file} is not JSON: {error}.", fix="Save the model again.") from error
    params = None
    if info.get("params"):
        content, params = content["inputs"], content["params"]
    kind = str(info.get("type", "json_object"))
    if kind == "dataframe" and isinstance(content, list):
        content = {"data": content}
    return InputExample(kind, content, params)


def _has_params(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], dict)


def _encode(data: Any) -> tuple[str, Any]:
    if is_frame(data):
        return "dataframe", _split(data)
    if is_sparse(data):
        parts = {"data": _without_nan(data.data), "indices": data.indices.tolist(), "indptr": data.indptr.tolist()}
        return f"sparse_matrix_{data.format}", {**parts, "shape": [int(n) for n in data.shape]}
    if is_tensor(data):
        return "ndarray", _without_nan(as_array(data))
    if isinstance(data, Mapping) and any(is_tensor(value) for value in data.values()):
        if not all(is_tensor(value) for value in data.values()):
            raise InvalidInput("An example cannot mix arrays and other values.", fix="Make every value an array.")
        return "ndarray", {name: _without_nan(as_array(value)) for name, value in data.items()}
    if isinstance(data, list | Mapping | str | int | float | bool | np.generic | datetime.datetime | bytes):
        return "json_object", data
    raise InvalidInput(
        f"An example of type {type(data).__name__} cannot be kept.",
        fix="Give a frame, an array, a dict of arrays, a list, a dict or a single value.",
    )


def _split(frame: Any) -> dict[str, Any]:
    """A frame as columns and rows; default column numbers (0, 1, ...) are left out, the missing is None."""
    missing = frame.isna().to_numpy()
    rows = [
        [None if missing[place, at] else value for at, value in enumerate(row)]
        for place, row in enumerate(zip(*(frame.iloc[:, at].tolist() for at in range(frame.shape[1])), strict=True))
    ]
    names = list(frame.columns)
    return {"data": rows} if names == list(range(len(names))) else {"columns": names, "data": rows}


def _without_nan(array: np.ndarray[Any, np.dtype[Any]]) -> Any:
    if array.dtype.kind == "f":
        return np.where(np.isnan(array), None, array).tolist()  # type: ignore[call-overload]
    return array.tolist()


def _dump(content: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(content, default=_jsonable, indent=indent)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The input example cannot be written as JSON: {error}.") from error


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.datetime64):
        return np.datetime_as_string(value)
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"a value of type {type(value).__name__}")
