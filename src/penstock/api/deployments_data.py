"""What people hand to ``predict``, as the body of a call; and answers as the kind of thing that was handed in."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.ground.errors import InvalidInput


def encode_inputs(data: Any) -> tuple[bytes, str]:
    """The body and its content type: frames as ``dataframe_split``, arrays and lists as ``instances``, dicts as given.

    A dict whose keys are none of MLflow's is taken for ``inputs``. Text and bytes go as they are.
    """
    if isinstance(data, bytes | str):
        return (data.encode() if isinstance(data, str) else data), "application/json"
    if hasattr(data, "to_json") and hasattr(data, "columns"):
        return b'{"dataframe_split":' + data.to_json(orient="split").encode() + b"}", "application/json"
    if hasattr(data, "tolist"):
        return msgspec.json.encode({"instances": data.tolist()}), "application/json"
    if isinstance(data, dict):
        known = {"dataframe_split", "dataframe_records", "instances", "inputs"}
        return msgspec.json.encode(data if known & data.keys() else {"inputs": data}), "application/json"
    if isinstance(data, list | tuple):
        return msgspec.json.encode({"instances": list(data)}), "application/json"
    raise InvalidInput(f"A {type(data).__name__} cannot be sent.", fix="Give a DataFrame, an array, a list or a dict.")
