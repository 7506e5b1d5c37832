"""LitServe, as its introduction shows it. ``python litserve_app.py FOLDER PORT``."""

import pickle
import sys
from pathlib import Path
from typing import Any

import litserve as ls


class Api(ls.LitAPI):
    def setup(self, device: str) -> None:
        with (Path(sys.argv[1]) / "model.pkl").open("rb") as stream:
            self.model = pickle.load(stream)

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["inputs"]

    def predict(self, rows: Any) -> Any:
        return self.model.predict(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(Api(api_path="/invocations"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
