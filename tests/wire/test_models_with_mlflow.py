"""Model folders between Penstock and the real mlflow, in both directions: each reads what the other wrote."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from penstock.models.flavors.table import flavor_of_folder
from penstock.models.folder import read_model_folder
from penstock.models.inference import infer_schema
from penstock.models.load import load_model
from penstock.models.pack import save_model
from penstock.models.signature import infer_signature

Peer = Callable[..., Any]
# Runs one program after another, for importing mlflow is most of the time; each leaves its answer in ``answer``.
SERVE = """
import json, logging, sys, warnings
import numpy as np, pandas as pd, mlflow
talk, sys.stdout = sys.stdout, sys.stderr
sys.path.append(sys.argv[1])  # the flavors' libraries, where the peer's own environment has none
for line in sys.stdin:
    program, arguments = json.loads(line)
    scope = {"json": json, "logging": logging, "np": np, "pd": pd, "mlflow": mlflow, "warnings": warnings}
    scope["arguments"] = arguments
    try:
        exec(program, scope)
        answer = {"answer": scope["answer"]}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), file=talk, flush=True)
"""
# Loads the folder as mlflow's users do, asks it about its own input example, and tells what mlflow warned about.
READ = """
heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage())
logging.getLogger("mlflow").addHandler(handler)
path = arguments[0]
model = mlflow.pyfunc.load_model(path)
info = mlflow.models.Model.load(path)
example = info.load_input_example(path)
params = info.load_input_example_params(path)
found = model.predict(example, params=params) if params else model.predict(example)
found = found.to_dict("list") if hasattr(found, "to_dict") else np.asarray(found).tolist()
logging.getLogger("mlflow").removeHandler(handler)
answer = {"answer": found, "signature": info.signature.to_dict(), "warnings": heard}
"""


@pytest.fixture(scope="module", params=["mlflow", "mlflow2"])
def peer(request: pytest.FixtureRequest, peer_python: Callable[[str], Path]) -> Iterator[Peer]:
    """Runs programs in a peer's environment (MLflow 3, MLflow 2) and gives what each leaves in ``answer``."""
    ours = sysconfig.get_paths()["purelib"]
    command = [str(peer_python(request.param)), "-c", SERVE, ours]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]

        def run(program: str, *arguments: str) -> Any:
            process.stdin.write(json.dumps([program, arguments]) + "\n")
            process.stdin.flush()
            reply = json.loads(process.stdout.readline())
            assert "error" not in reply, reply["error"]
            return reply["answer"]

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def iris() -> tuple[Any, Any]:
    features, species = load_iris(return_X_y=True, as_frame=True)
    return features, species


# As in a notebook, where a class belongs to no module that could be imported elsewhere.
NOTEBOOK = """
from pathlib import Path
import penstock
class Times(penstock.pyfunc.PythonModel):
    def load_context(self, context):
        self.factor = float(Path(context.artifacts["factor"]).read_text())
    def predict(self, context, model_input, params=None):
        return [value * self.factor * params["again"] for value in model_input["x"].tolist()]
def double(model_input):
    return model_input * 2
"""


def test_mlflow_reads_what_penstock_wrote(peer: Peer, tmp_path: Path, iris: tuple[Any, Any]) -> None:
    features, species = iris
    classifier = LogisticRegression(max_iter=200).fit(features, species)
    save_model(classifier, tmp_path / "named", input_example=features[:3])
    heard = peer(READ, str(tmp_path / "named"))
    assert heard["answer"] == classifier.predict(features[:3]).tolist()
    assert heard["signature"] == read_model_folder(tmp_path / "named").document.table["signature"]
    assert not [text for text in heard["warnings"] if "scikit-learn" in text or "cloudpickle" in text]


FORMATS = ("pickle", "cloudpickle", "skops")
WRITE_FORMAT = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=200).fit(X, y)
path, written = arguments
options = {"serialization_format": written, "pip_requirements": ["scikit-learn"], "input_example": X[:3]}
mlflow.sklearn.save_model(model, path, **options)
answer = model.predict(X).tolist()
"""


@pytest.mark.full  # mlflow tries each input example in a server's way: half a minute in all
@pytest.mark.parametrize("written", FORMATS)
def test_each_format_of_sklearn_goes_both_ways(peer: Peer, tmp_path: Path, iris: Any, written: str) -> None:
    if written == "skops":
        pytest.importorskip("skops")
        if peer("answer = mlflow.__version__") < "3":
            pytest.skip("MLflow 2 writes no skops")
    expected = peer(WRITE_FORMAT, str(tmp_path / "theirs"), written)
    assert load_model(tmp_path / "theirs").predict(iris[0]).tolist() == expected
    classifier = LogisticRegression(max_iter=200).fit(*iris)
    save_model(classifier, tmp_path / "ours", input_example=iris[0][:3], serialization_format=written)
    assert peer(READ, str(tmp_path / "ours"))["answer"] == classifier.predict(iris[0][:3]).tolist()


# What mlflow pickled of its own classes can only be read where mlflow is, so Penstock runs there, as in its image.
PYTHON_MODELS = """
__name__ = "__main__"  # as in a notebook
import sys
from pathlib import Path
root, sources = arguments
sys.path.append(sources)
from penstock.models.load import load_model
class Times(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.factor = float(Path(context.artifacts["factor"]).read_text()) * context.model_config["again"]
    def predict(self, context, model_input, params=None):
        return [value * self.factor for value in model_input["x"].tolist()]
def double(model_input):
    return model_input * 2
Path(root, "factor.txt").write_text("2")
code = Path(root, "my_model.py")
code.write_text('''
import mlflow
class Third(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"] / 3
mlflow.models.set_model(Third())
''')
rows = pd.DataFrame({"x": [3.0, 6.0]})
plain = {"pip_requirements": ["numpy"], "signature": mlflow.models.infer_signature(rows)}
more = {"artifacts": {"factor": str(Path(root, "factor.txt"))}, "model_config": {"again": 10}}
mlflow.pyfunc.save_model(f"{root}/class", python_model=Times(), **more, **plain)
mlflow.pyfunc.save_model(f"{root}/function", python_model=double, **plain)
mlflow.pyfunc.save_model(f"{root}/code", python_model=str(code), **plain)
read = lambda path: np.asarray(load_model(path).predict(rows)).ravel().tolist()
answer = {name: read(f"{root}/{name}") for name in ("class", "function", "code")}
"""


def test_penstock_reads_mlflows_python_models(peer: Peer, tmp_path: Path) -> None:
    sources = Path(__file__).resolve().parents[2] / "src"
    assert peer(PYTHON_MODELS, str(tmp_path), str(sources)) == {
        "class": [60.0, 120.0],
        "function": [6.0, 12.0],
        "code": [1.0, 2.0],
    }


CODE_FILE = """
import penstock
class Third(penstock.pyfunc.PythonModel):
    def load_context(self, context):
        self.part = context.model_config["part"]
    def predict(self, context, model_input, params=None):
        return (model_input["x"] / self.part).tolist()
penstock.pyfunc.set_model(Third())
"""


def test_mlflow_reads_a_code_file_where_penstock_is(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "my_model.py").write_text(CODE_FILE)
    example = pd.DataFrame({"x": [3.0, 6.0]})
    options = {"model_config": {"part": 3}, "input_example": example}
    folder = save_model(tmp_path / "my_model.py", tmp_path / "model", pip_requirements=["penstock"], **options)
    assert load_model(folder.path).predict(example) == [1.0, 2.0]
    sources = str(Path(__file__).resolve().parents[2] / "src")
    assert peer("import sys; sys.path.append(arguments[1])" + READ, str(folder.path), sources)["answer"] == [1.0, 2.0]


def test_mlflow_reads_python_models_without_penstock(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "factor.txt").write_text("2")
    notebook: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, notebook)
    folder = save_model(
        notebook["Times"](),
        tmp_path / "class",
        artifacts={"factor": tmp_path / "factor.txt"},
        input_example=(pd.DataFrame({"x": [1.0, 2.0]}), {"again": 10.0}),
    )
    assert peer(READ, str(folder.path))["answer"] == [20.0, 40.0]
    folder = save_model(notebook["double"], tmp_path / "function", input_example=np.array([[1.0, 2.0]]))
    assert peer(READ, str(folder.path))["answer"] == [[2.0, 4.0]]


WRITE = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=200).fit(X, y)
for name, data in (("named", X), ("plain", X.to_numpy())):
    fitted = LogisticRegression(max_iter=200).fit(data, y)
    options = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
    mlflow.sklearn.save_model(fitted, f"{arguments[0]}/{name}", input_example=data[:3], **options)
answer = model.predict(X[:3]).tolist()
"""


def test_penstock_reads_what_mlflow_wrote(peer: Peer, tmp_path: Path, iris: tuple[Any, Any]) -> None:
    expected = peer(WRITE, str(tmp_path))
    for name in ("named", "plain"):
        model = load_model(tmp_path / name)
        example = model.folder.input_example()
        assert example is not None
        assert model.predict_rows(example.rows(), example.columns()).tolist() == expected
        assert model.folder.document.to_yaml() == (tmp_path / name / "MLmodel").read_text()


# The same small model in each library, trained alike by both sides.
TRAIN = """
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True, as_frame=True)
rows = X.to_numpy().astype("float32")
def made(name):
    if name == "xgboost":
        import xgboost
        return xgboost.XGBClassifier(n_estimators=3).fit(X, y), X[:5]
    if name == "xgboost-booster":
        import xgboost
        return xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, y), 3), X[:5]
    if name == "lightgbm":
        import lightgbm
        return lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, y), X[:5]
    if name == "lightgbm-booster":
        import lightgbm
        options = {"objective": "multiclass", "num_class": 3, "verbose": -1}
        return lightgbm.train(options, lightgbm.Dataset(X, y), 3), X[:5]
    if name == "onnx":
        import skl2onnx
        from sklearn.linear_model import LogisticRegression
        fitted = LogisticRegression(max_iter=200).fit(rows, y)
        return skl2onnx.to_onnx(fitted, rows[:1], options={"zipmap": False}), rows[:5]
    import torch
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1)), rows[:5]
"""
WRITE_FLAVOR = (
    TRAIN
    + """
path, name = arguments
flavor = name.partition("-")[0]
model, example = made(name)
options = {"pip_requirements": ["numpy"], "signature": mlflow.models.infer_signature(example)}
if flavor == "lightgbm" and "booster" not in name and mlflow.__version__ >= "3":
    options["serialization_format"] = "cloudpickle"
if flavor == "pytorch" and mlflow.__version__ >= "3":
    options["serialization_format"] = "pickle"
getattr(mlflow, flavor).save_model(model, path, **options)
found = mlflow.pyfunc.load_model(path).predict(example)
found = found["label"] if isinstance(found, dict) else found
answer = np.asarray(found).tolist()
"""
)
READ_FLAVOR = (
    TRAIN
    + """
path, name = arguments
found = mlflow.pyfunc.load_model(path).predict(made(name)[1])
found = found["label"] if isinstance(found, dict) else found
answer = np.asarray(found).tolist()
"""
)
FLAVORS = ("xgboost", "xgboost-booster", "lightgbm", "lightgbm-booster", "onnx", "pytorch")
LIBRARIES = {"onnx": "skl2onnx", "pytorch": "torch"}


@pytest.mark.parametrize("name", FLAVORS)
def test_each_flavor_is_read_by_the_other_side(peer: Peer, tmp_path: Path, name: str) -> None:
    flavor = name.partition("-")[0]
    pytest.importorskip(LIBRARIES.get(flavor, flavor))
    scope: dict[str, Any] = {}
    exec(TRAIN, scope)
    model, example = scope["made"](name)
    theirs = peer(WRITE_FLAVOR, str(tmp_path / "theirs"), name)
    loaded = load_model(tmp_path / "theirs")
    assert flavor_of_folder(loaded.folder.document) == flavor
    found = loaded.predict(example)
    np.testing.assert_allclose(found["label"] if isinstance(found, dict) else found, theirs, rtol=1e-5)
    save_model(model, tmp_path / "ours", input_example=example, pip_requirements=["numpy"])
    np.testing.assert_allclose(peer(READ_FLAVOR, str(tmp_path / "ours"), name), theirs, rtol=1e-5)


SIGNATURES = """
warnings.simplefilter("ignore")
from mlflow.models import infer_signature
scope = {"np": np, "pd": pd}
found = []
for text in json.loads(arguments[0]):
    signature = infer_signature(eval(text, scope))
    found.append(signature.to_dict()["inputs"])
answer = found
"""
DATA = [
    "np.zeros((2, 3), 'float32')",
    "np.array(['a', 'bc'])",
    "{'a': np.zeros((1, 2)), 'b': np.zeros(3, 'int8')}",
    "pd.DataFrame({'i': [1, 2], 'f': [1.0, None], 's': ['a', 'b'], 'b': [True, False]})",
    "pd.DataFrame({'t': pd.to_datetime(['2020-01-01']), 'y': [b'x'], 'l': [[1, 2]], 'o': [{'k': 1.0, 'j': 'x'}]})",
    "pd.DataFrame(np.zeros((2, 2)))",
    "pd.DataFrame({'i8': np.zeros(1, 'int8'), 'u16': np.zeros(1, 'uint16'), 'u32': np.zeros(1, 'uint32')})",
    "['a', 'b']",
    "[{'a': 1, 'b': 'x'}, {'a': 2}]",
    "{'a': 1, 'b': ['x'], 'c': {'d': [1.5]}}",
    "'text'",
    "pd.Series([1, 2], name='n')",
]


def test_signatures_are_inferred_as_mlflow_infers_them(peer: Peer) -> None:
    scope = {"np": np, "pd": pd}
    ours = [infer_schema(eval(text, scope)).to_json() for text in DATA]
    assert dict(zip(DATA, ours, strict=True)) == dict(zip(DATA, peer(SIGNATURES, json.dumps(DATA)), strict=True))


PARAMS = """
from mlflow.models import infer_signature
params = {"t": 0.5, "n": 3, "l": [1, 2], "s": "x", "b": True}
answer = infer_signature(np.zeros((1, 1)), None, params).to_dict()["params"]
"""


def test_params_are_written_as_mlflow_writes_them(peer: Peer) -> None:
    signature = infer_signature(np.zeros((1, 1)), None, {"t": 0.5, "n": 3, "l": [1, 2], "s": "x", "b": True})
    assert signature.to_dict()["params"] == peer(PARAMS)
