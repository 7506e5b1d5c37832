"""A model's signature: what goes in, what comes out, and the parameters; inferred from data, kept in MLmodel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.models.inference import infer_params, infer_schema
from penstock.models.schema import ParamSchema, Schema


class Signature(Struct, frozen=True, kw_only=True):
    """What a model takes and gives; a part that is None is unknown and not checked."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: ParamSchema | None = None

    def to_dict(self) -> dict[str, str | None]:
        """MLmodel's ``signature``: each part a JSON text or None."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Raises InvalidInput."""
        if not isinstance(table, Mapping):
            raise InvalidInput("MLmodel's signature is not a table.", fix="Write it with infer_signature.")
        inputs, outputs, params = (table.get(part) for part in ("inputs", "outputs", "params"))
        return cls(
            inputs=Schema.from_json(inputs) if inputs else None,
            outputs=Schema.from_json(outputs) if outputs else None,
            params=ParamSchema.from_json(params) if params else None,
        )


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: Mapping[str, Any] | None = None
) -> Signature:
    """The signature of this data, as MLflow infers it. Raises InvalidInput naming what cannot be described.

    Frames, series and lists give columns; arrays, tensors and dicts of arrays give tensors whose first axis is free:
    ``infer_signature(np.zeros((3, 4)))`` takes a float64 tensor of shape (-1, 4).
    """
    return Signature(
        inputs=None if model_input is None else infer_schema(model_input),
        outputs=None if model_output is None else infer_schema(model_output),
        params=infer_params(params) if params else None,
    )
