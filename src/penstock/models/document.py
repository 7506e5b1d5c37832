"""The file MLmodel as a value: every field that was read is kept, the known ones have names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import yaml
from msgspec import Struct

from penstock.ground.errors import ModelFolderInvalid
from penstock.models.signature import Signature

FILE_NAME = "MLmodel"
PYTHON_FUNCTION = "python_function"
# The release of MLflow whose folder format is written; readers there compare it with their own.
FORMAT_VERSION = "3.17.2"
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class MLmodel(Struct, frozen=True):
    """What MLmodel says. ``table`` is the whole file, unknown fields included, and is what is written back."""

    table: Mapping[str, Any]

    @property
    def flavors(self) -> Mapping[str, Mapping[str, Any]]:
        """Each flavor's own settings, by the flavor's name."""
        return self.table["flavors"]  # type: ignore[no-any-return]

    @property
    def signature(self) -> Signature | None:
        """Raises InvalidInput when it cannot be read."""
        found = self.table.get("signature")
        return Signature.from_dict(found) if found else None

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.table.get("metadata") or {}

    @property
    def example_info(self) -> Mapping[str, Any] | None:
        """Where the input example lies and how it is written, or None."""
        return self.table.get("saved_input_example_info")

    @property
    def model_id(self) -> str | None:
        return self.table.get("model_id")

    @property
    def run_id(self) -> str | None:
        return self.table.get("run_id")

    def with_fields(self, **fields: Any) -> MLmodel:
        """The same document with these top-level fields set."""
        return MLmodel({**self.table, **fields})

    def to_yaml(self) -> str:
        """The text of the file; what MLflow wrote comes back byte for byte."""
        return yaml.dump(dict(self.table), Dumper=_Dumper, default_flow_style=False)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Raises ModelFolderInvalid."""
        try:
            table = yaml.load(text, Loader=_Loader)  # a safe loader: it builds plain values only
        except yaml.YAMLError as error:
            raise ModelFolderInvalid(
                f"MLmodel is not YAML: {_first_line(error)}.", fix="Save the model again."
            ) from error
        flavors = table.get("flavors") if isinstance(table, dict) else None
        if not isinstance(flavors, dict) or not all(isinstance(flavor, dict) for flavor in flavors.values()):
            raise ModelFolderInvalid("MLmodel names no flavors.", fix="Save the model again.")
        return cls(table)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
