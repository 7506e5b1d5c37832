"""A model that adds up its rows, and does worse when it is asked to: it dies, hangs at a gate, or raises."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from penstock.models.python_model import PythonModel, set_model

DIE, WAIT, RAISE = 666.0, 777.0, 400.0


class Tricky(PythonModel):
    def predict(self, model_input: np.ndarray, params: dict[str, float] | None = None) -> np.ndarray:
        asked = model_input[:, 0]
        if (asked == DIE).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (asked == RAISE).any():
            raise ValueError("asked to raise")
        while (asked == WAIT).any() and not Path(os.environ["TRICKY_GATE"]).exists():
            time.sleep(0.01)
        return model_input.sum(axis=1) * (params or {}).get("scale", 1.0)


set_model(Tricky())
