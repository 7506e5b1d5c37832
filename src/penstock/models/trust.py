"""What a model folder may do when it is loaded. Loading a pickle or a code file runs code that the folder brings."""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec import Struct

from penstock.ground.errors import Forbidden, InvalidInput


class Trust(Struct, frozen=True):
    """How far a folder is trusted.

    ``code`` allows pickles and Python files, as MLflow does. Without it only formats that hold data alone are loaded
    (ONNX, XGBoost's and LightGBM's own, skops). ``types`` are the types that a skops file may build besides skops' own
    safe ones; they come from the caller, never from the folder.
    """

    code: bool = True
    types: tuple[str, ...] = ()

    def check_code(self, what: str) -> None:
        """Raises Forbidden when loading ``what`` would run the folder's code and that is not allowed."""
        if not self.code:
            raise Forbidden(
                f"Loading {what} runs code that the model folder brings, and this folder is not trusted to.",
                fix="Look where the folder comes from, then allow it with --trust code (PENSTOCK_TRUST=code).",
            )


TRUSTED = Trust()
DATA_ONLY = Trust(code=False)
_FALSE = ("false", "0")


def trust_from(environment: Mapping[str, str] = os.environ) -> Trust:
    """The policy of PENSTOCK_TRUST ("code" or "data"), else of MLFLOW_ALLOW_PICKLE_DESERIALIZATION, else code."""
    word = environment.get("PENSTOCK_TRUST")
    if word is None:
        denied = environment.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "").lower() in _FALSE
        return DATA_ONLY if denied else TRUSTED
    if word not in ("code", "data"):
        raise InvalidInput(f"PENSTOCK_TRUST is {word!r}.", fix="Set it to 'code' or 'data'.")
    return TRUSTED if word == "code" else DATA_ONLY
