"""BentoML, as its introduction shows it; the model's folder is in BENCH_MODEL."""

import os
import pickle
from pathlib import Path

import bentoml


@bentoml.service(workers=1)
class Predictor:
    def __init__(self) -> None:
        with (Path(os.environ["BENCH_MODEL"]) / "model.pkl").open("rb") as stream:
            self.model = pickle.load(stream)

    @bentoml.api(route="/invocations")
    def invocations(self, inputs: list[list[float]]) -> dict[str, list[float]]:
        return {"predictions": self.model.predict(inputs).tolist()}
