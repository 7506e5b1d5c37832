"""Trains and saves the models that every server is given: ``python models.py DIRECTORY NAME...``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from penstock.models.folder import read_model_folder
from penstock.models.optimize.compile import optimize
from penstock.models.pack import save_model
from penstock.models.signature import infer_signature

NULL = '''"""A model that answers a constant."""
import numpy as np
from penstock.models.python_model import PythonModel, set_model
class Null(PythonModel):
    def predict(self, model_input):
        return np.zeros(len(model_input))
set_model(Null())
'''


def iris(target: Path) -> None:
    features, labels = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(features, labels)
    save_model(model, target, signature=infer_signature(features, model.predict(features)), input_example=features[:3])


def trees(target: Path, kind: type) -> None:
    values, labels = make_classification(n_samples=2000, n_features=30, n_informative=12, random_state=7)
    data = pd.DataFrame(values, columns=[f"feature {at}" for at in range(30)])
    model = kind(n_estimators=500, random_state=7).fit(data, labels)
    save_model(model, target, signature=infer_signature(data, model.predict(data)), input_example=data[:3])


def null(target: Path) -> None:
    source = target.with_suffix(".py")
    source.write_text(NULL)
    example = np.zeros((1, 4))
    save_model(str(source), target, flavor="python_function", signature=infer_signature(example, np.zeros(1)))


MAKERS = {
    "null": null,
    "iris": iris,
    "boosting": lambda target: trees(target, GradientBoostingClassifier),
    "forest": lambda target: trees(target, RandomForestClassifier),
}


def main() -> None:
    directory = Path(sys.argv[1])
    for name in sys.argv[2:]:
        if not (directory / name).exists():
            MAKERS[name](directory / name)
        if name != "null" and not (directory / f"{name}-optimized").exists():
            shutil.copytree(directory / name, directory / f"{name}-optimized")
            verdict = optimize(read_model_folder(directory / f"{name}-optimized"))
            print(f"{name}: compiled: {verdict.accepted} {verdict.reason or ''} up to {verdict.max_rows} rows")


if __name__ == "__main__":
    main()
