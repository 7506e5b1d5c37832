"""How each server is started, and in which environment; an environment that is missing is made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENVS = ROOT / ".venvs"
_FASTAPI, _LITSERVE, _BENTOML = ("fastapi", "uvicorn[standard]", "pyarrow"), ("litserve",), ("bentoml",)
_MLSERVER = ("mlserver", "mlserver-sklearn", "uvloop<0.22")  # with a newer uvloop it does not start
LIBRARIES = ("scikit-learn", "pandas", "cloudpickle")


class Server(NamedTuple):
    """``command(model folder, port, work directory)`` gives the command line and more environment variables."""

    name: str
    command: Callable[[Path, int, Path], tuple[list[str], dict[str, str]]]
    ready: str = "/ping"
    path: str = "/invocations"
    rewrite: Callable[[str], str] = lambda body: body


def environment(name: str, *packages: str, libraries: tuple[str, ...] = LIBRARIES) -> Path:
    """The interpreter of ``.venvs/bench-NAME``, made by uv when it is missing."""
    python = VENVS / f"bench-{name}" / "bin" / "python"
    stamp, wanted = python.parent.parent / ".installed", " ".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run(
            [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(python.parent.parent)], check=True
        )
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *libraries, *packages], check=True)
        stamp.write_text(wanted)
    return python


def _ours(*flags: str) -> Callable[[Path, int, Path], tuple[list[str], dict[str, str]]]:
    def command(folder: Path, port: int, _: Path) -> tuple[list[str], dict[str, str]]:
        program = [sys.executable, "-m", "penstock.serving", "serve", str(folder)]
        return [*program, "--host", "127.0.0.1", "--port", str(port), *flags], {}

    return command


def _optimized(folder: Path, port: int, work: Path) -> tuple[list[str], dict[str, str]]:
    return _ours()(folder.with_name(f"{folder.name}-optimized"), port, work)


def make_environments() -> None:
    """Makes what is missing, so that no measurement waits for an installer."""
    environment("fastapi", *_FASTAPI)
    environment("litserve", *_LITSERVE)
    environment("bentoml", *_BENTOML)
    environment("mlserver", *_MLSERVER)


def _null_handler(_: Path, port: int, _work: Path) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, str(HERE / "null_handler.py"), str(port)], {}


def _mlflow(folder: Path, port: int, _: Path) -> tuple[list[str], dict[str, str]]:
    mlflow = str(VENVS / "mlflow" / "bin" / "mlflow")
    model = ["models", "serve", "-m", str(folder), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    path = f"{VENVS / 'mlflow' / 'bin'}:/usr/bin:/bin"
    return [mlflow, *model, "-w", "1"], {"PATH": path, "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "600"}


def _fastapi(folder: Path, port: int, _: Path) -> tuple[list[str], dict[str, str]]:
    python = environment("fastapi", *_FASTAPI)
    return [str(python), str(HERE / "fastapi_app.py"), str(folder), str(port)], {}


def _litserve(folder: Path, port: int, _: Path) -> tuple[list[str], dict[str, str]]:
    python = environment("litserve", *_LITSERVE)
    return [str(python), str(HERE / "litserve_app.py"), str(folder), str(port)], {}


def _bentoml(folder: Path, port: int, _: Path) -> tuple[list[str], dict[str, str]]:
    python = environment("bentoml", *_BENTOML)
    bento = str(python.with_name("bentoml"))
    arguments = ["serve", "bento_service:Predictor", "--working-dir", str(HERE), "-p", str(port), "--host", "127.0.0.1"]
    return [bento, *arguments], {"BENCH_MODEL": str(folder), "BENTOML_DO_NOT_TRACK": "true"}


def _mlserver(folder: Path, port: int, work: Path) -> tuple[list[str], dict[str, str]]:
    python = environment("mlserver", *_MLSERVER)
    settings = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "host": "127.0.0.1"}
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel"}
    place = work / f"mlserver-{folder.name}"
    place.mkdir(exist_ok=True)
    (place / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    joblib = place / "model.joblib"
    joblib.write_bytes((folder / "model.pkl").read_bytes())
    (place / "model-settings.json").write_text(json.dumps({**model, "parameters": {"uri": str(joblib)}}))
    return [str(python.with_name("mlserver")), "start", str(place)], {}


def _as_v2(body: str) -> str:
    rows = json.loads(body)["inputs"]
    flat = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}
    return json.dumps({"inputs": [tensor]})


PENSTOCK = Server("penstock", _ours())
OPTIMIZED = Server("penstock --optimize", _optimized)
NULL_HANDLER = Server("null handler", _null_handler)
MLFLOW = Server("mlflow", _mlflow)
FASTAPI = Server("fastapi by hand", _fastapi)
BENTOML = Server("bentoml", _bentoml, ready="/healthz")
LITSERVE = Server("litserve", _litserve, ready="/health")
MLSERVER = Server("mlserver", _mlserver, "/v2/health/ready", "/v2/models/m/infer", _as_v2)
