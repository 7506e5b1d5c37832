"""Which models may be asked for several requests at once, and how rows are put together and taken apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from penstock.models.folder import read_model_folder
from penstock.models.load import load_model
from penstock.models.optimize.attach import find_verdict
from penstock.models.pack import save_model
from penstock.models.signature import infer_signature
from penstock.serving.payload import Payload
from penstock.serving.predictor import Predictor
from penstock.serving.proof import batching_refused
from penstock.serving.rows import identical, joined, split

SOURCE = """
import numpy as np
from penstock.models.python_model import PythonModel, set_model
class Model(PythonModel):
    def predict(self, model_input):
        return {answer}
set_model(Model())
"""


def predictor(tmp_path: Path, answer: str) -> Predictor:
    source = tmp_path / "model.py"
    source.write_text(SOURCE.format(answer=answer))
    signature = infer_signature(np.zeros((2, 3)), np.zeros(2))
    save_model(str(source), tmp_path / "folder", flavor="python_function", signature=signature)
    return Predictor(load_model(tmp_path / "folder"))


@pytest.mark.parametrize(
    "answer", ["model_input.sum(axis=1)", "{'a': model_input[:, 0], 'b': model_input}", "[1] * len(model_input)"]
)
def test_a_model_that_looks_at_each_row_alone_may_be_batched(tmp_path: Path, answer: str) -> None:
    assert batching_refused(predictor(tmp_path, answer)) is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("model_input.sum(axis=1) - model_input.mean()", "differs from its lone answer"),
        ("np.random.default_rng().normal(size=len(model_input))", "differs from its lone answer"),
        ("model_input.sum()", "not one entry a row"),
        ("'some text'", "not one entry a row"),
        ("1 / 0", "not answered"),
    ],
)
def test_a_model_that_does_not_is_found_out(tmp_path: Path, answer: str, reason: str) -> None:
    assert reason in str(batching_refused(predictor(tmp_path, answer)))


def test_a_compiled_model_is_batched_only_as_far_as_it_is_compiled(
    iris_folder: Path, compiled_iris_folder: Path
) -> None:
    verdict = find_verdict(read_model_folder(compiled_iris_folder))
    assert verdict is not None
    compiled, plain = Predictor(load_model(compiled_iris_folder)), Predictor(load_model(iris_folder))
    assert compiled.most_rows_together == verdict.max_rows
    assert not compiled.may_go_together([[1.0, 2.0, 3.0, float("nan")]])
    assert not compiled.may_go_together([[1.0, 2.0, 3.0, 1e300]])
    assert compiled.may_go_together([[1.0, 2.0, 3.0, 4.0]])
    rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]]
    assert compiled.predict(Payload(rows)).tolist() == plain.predict(Payload(rows)).tolist() == [0, 2]


@pytest.mark.parametrize(
    "predictions",
    [np.arange(6), np.arange(12).reshape(6, 2), list("abcdef"), pd.DataFrame({"a": range(6)}), pd.Series(range(6)),
     {"a": np.arange(6), "b": list("abcdef")}],
)  # fmt: skip
def test_parts_put_together_are_the_whole(predictions: object) -> None:
    parts = split(predictions, [1, 3, 2])
    assert parts is not None
    assert [len(part["a"] if isinstance(part, dict) else part) for part in parts] == [1, 3, 2]
    assert identical(parts[1], split(predictions, [1, 3, 2])[1])  # type: ignore[index]
    assert not identical(parts[1], parts[2])
    assert split(predictions, [1, 3]) is None


def test_tables_are_joined_by_kind() -> None:
    assert joined([[[1]], [[2], [3]]]) == [[1], [2], [3]]
    assert joined([np.zeros((1, 2)), np.ones((2, 2))]).tolist() == [[0, 0], [1, 1], [1, 1]]
