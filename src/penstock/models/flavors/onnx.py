"""ONNX graphs, run by onnxruntime. The file holds data alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.ground.files import write_atomically
from penstock.models.distributions import find_distribution
from penstock.models.flavors.options import chosen
from penstock.models.flavors.protocol import Packing, Saved
from penstock.models.folder import ModelFolder
from penstock.models.inference import is_frame
from penstock.models.trust import Trust

FILE = "model.onnx"
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_, "tensor(string)": np.object_,
}  # fmt: skip


class OnnxPredictor(Struct, frozen=True):
    """A session; its answer is a dict of arrays by the outputs' names, as the graph gives them."""

    native: Any
    inputs: tuple[tuple[str, Any], ...]
    outputs: tuple[str, ...]

    def outputs_of(self, data: Any) -> list[Any]:
        """The outputs for the array of the one input, or a dict of arrays by input, in the graph's order.

        It is ``predict`` without what only others need.
        """
        arrays = {self.inputs[0][0]: data} if isinstance(data, np.ndarray) else data
        feed = {
            name: arrays[name] if dtype is None or arrays[name].dtype == dtype else arrays[name].astype(dtype)
            for name, dtype in self.inputs
        }
        # The session's own method checks names and GPU options first, in Python: 9 us of 26 for a single row.
        bare = getattr(self.native, "_sess", self.native)
        return bare.run(list(self.outputs), feed, None)  # type: ignore[no-any-return]

    @property
    def takes_arrays(self) -> bool:
        return len(self.inputs) == 1

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The outputs for one array, or a dict or a frame with one entry an input; each cast to its input's type."""
        if isinstance(data, Mapping):
            feed = {name: np.asarray(data[name]) for name, _ in self.inputs}
        elif is_frame(data) and len(self.inputs) > 1:
            feed = {name: data[name].to_numpy().reshape(-1, 1) for name, _ in self.inputs}
        elif len(self.inputs) == 1:
            feed = {self.inputs[0][0]: data.to_numpy() if is_frame(data) else np.asarray(data)}
        else:
            raise InvalidInput(f"The graph takes {len(self.inputs)} arrays.", fix="Send a dict by their names.")
        typed = {name: feed[name].astype(dtype, copy=False) if dtype else feed[name] for name, dtype in self.inputs}
        return dict(zip(self.outputs, self.native.run(None, typed), strict=True))


class OnnxFlavor:
    """MLflow's flavor "onnx"."""

    name = "onnx"

    def save(self, model: Any, packing: Packing) -> Saved:
        """``model`` is an onnx ModelProto. Options: ``onnx_execution_providers``, ``onnx_session_options``."""
        options = chosen(packing.options, self.name, onnx_execution_providers=PROVIDERS, onnx_session_options=None)
        if not hasattr(model, "SerializeToString") or not hasattr(model, "graph"):
            raise InvalidInput(f"A {type(model).__name__} is no ONNX model.", fix="Give an onnx.ModelProto.")
        write_atomically(packing.folder / FILE, model.SerializeToString())
        onnx = find_distribution("onnx")
        config = {
            "data": FILE,
            "onnx_session_options": options["onnx_session_options"],
            "onnx_version": onnx.version if onnx else None,
            "providers": list(options["onnx_execution_providers"]),
        }
        return Saved(
            config=config,
            python_function={"loader_module": "mlflow.onnx", "data": FILE},
            modules=frozenset({"onnxruntime"}),
            takes_arrays=len(model.graph.input) == 1,
        )

    def load(self, folder: ModelFolder, trust: Trust) -> OnnxPredictor:
        """The session, on those of the wanted providers that are here."""
        config = folder.document.flavors[self.name]
        wanted = config.get("providers") or PROVIDERS
        return open_session(
            folder.file(config.get("data")).read_bytes(),
            [name for name in wanted if name in onnxruntime.get_available_providers()],
            _session_options(config.get("onnx_session_options") or {}),
        )


def open_session(graph: bytes, providers: list[str] | None = None, options: Any = None) -> OnnxPredictor:
    """The predictor of a serialized graph, by default on the CPU."""
    session = onnxruntime.InferenceSession(graph, options, providers=providers or ["CPUExecutionProvider"])
    inputs = tuple((each.name, _TYPES.get(each.type)) for each in session.get_inputs())
    return OnnxPredictor(session, inputs, tuple(each.name for each in session.get_outputs()))


def _session_options(table: Mapping[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    for name in ("inter_op_num_threads", "intra_op_num_threads"):
        if table.get(name):
            setattr(options, name, int(table[name]))
    return options


FLAVOR = OnnxFlavor()
