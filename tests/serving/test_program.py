"""The program's life: loading, failing, stopping, where it may write and as whom."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.served import Served, free_port
from serving.tricky_model import RAISE, WAIT

ROOT = Path(__file__).resolve().parents[2]


def last_line(served: Served) -> str:
    return served.log.read_text().strip().splitlines()[-1]


def test_a_model_that_does_not_load_ends_with_1_and_the_reason_last(
    iris_folder: Path, tmp_path: Path, serve_folder: Callable[..., Served]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(iris_folder, broken)
    (broken / "model.pkl").write_bytes(b"cno_such_module\nThing\n.")
    served = serve_folder(broken)
    assert served.process.wait(60) == 1
    assert "Traceback" in served.log.read_text()
    assert "ModuleNotFoundError: No module named 'no_such_module'" in last_line(served)


def test_a_folder_without_a_model_says_so(tmp_path: Path, serve_folder: Callable[..., Served]) -> None:
    served = serve_folder(tmp_path)
    assert served.process.wait(60) == 1
    assert "holds no MLmodel" in last_line(served)


def test_no_model_at_all_names_the_places(serve_folder: Callable[..., Served]) -> None:
    served = serve_folder(None, environment={"PENSTOCK_MODEL_PATH": ""})
    assert served.process.wait(60) == 1
    assert "/opt/ml/model" in last_line(served)


def test_a_taken_port_says_so(iris: Served, iris_folder: Path, serve_folder: Callable[..., Served]) -> None:
    served = serve_folder(iris_folder, "--port", str(iris.port))
    assert served.process.wait(60) == 1
    assert str(iris.port) in last_line(served)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(tricky_folder: Path, serve_folder: Callable[..., Served], number: int) -> None:
    served = serve_folder(tricky_folder).wait_ready()
    assert served.stop(number) == 0


def test_the_port_and_the_model_come_from_the_environment(tricky_folder: Path, tmp_path: Path) -> None:
    port = free_port()
    nested = tmp_path / "azure" / "model"
    shutil.copytree(tricky_folder, nested)
    environment = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), "PORT": "1", "AZUREML_MODEL_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "penstock.serving", "serve"], env=environment) as process:
        served = Served.__new__(Served)
        served.port, served.process, served.log = port, process, tmp_path / "none"
        assert served.wait_ready().invoke({"inputs": [[1, 2]]}).json == {"predictions": [3]}
        assert served.stop() == 0


def test_debugging_puts_the_traceback_into_the_answer(tricky_folder: Path, serve_folder: Callable[..., Served]) -> None:
    served = serve_folder(tricky_folder, "--debug").wait_ready()
    assert "Traceback" in served.invoke({"inputs": [[RAISE, 1]]}).json["stack_trace"]


def test_it_serves_as_a_stranger_and_writes_nothing(tricky_folder: Path, tool: Callable[[str], Path]) -> None:
    """A read-only root and an unknown user, as serverless endpoints have them; only /tmp can be written."""
    bwrap = tool("bwrap")
    port = free_port()
    view = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--unshare-pid", "--as-pid-1"]
    view.append("--die-with-parent")
    model = ["--ro-bind", str(ROOT), str(ROOT), "--ro-bind", str(tricky_folder), "/tmp/model"]
    command = [sys.executable, "-m", "penstock.serving", "serve", "/tmp/model", "--port", str(port)]
    with subprocess.Popen(
        [str(bwrap), *view, *model, "--unshare-user", "--uid", "12345", "--gid", "12345", *command],
        stderr=subprocess.PIPE,
    ) as process:
        served = Served.__new__(Served)
        served.port, served.process, served.log = port, process, tricky_folder / "MLmodel"
        try:
            assert served.wait_ready().invoke({"inputs": [[1, 2]]}).json == {"predictions": [3]}
        finally:
            process.terminate()
            process.wait(60)


def test_a_stop_that_comes_in_a_destructor_while_the_model_loads_is_heard() -> None:
    code = """
import signal
from penstock.serving.program import leave
signal.signal(signal.SIGTERM, leave)
class Loading:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
Loading()
print("serving all the same")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_as_pid_1_it_drains_on_sigterm(tricky_folder: Path, tmp_path: Path, tool: Callable[[str], Path]) -> None:
    """A container's first process gets no signal that it has no handler for; here it answers first, then ends."""
    gate, port = tmp_path / "gate", free_port()
    space = [str(tool("unshare")), "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    server = [sys.executable, "-m", "penstock.serving", "serve", str(tricky_folder), "--port", str(port)]
    environment = {**os.environ, "TRICKY_GATE": str(gate)}
    with subprocess.Popen([*space, *server], env=environment, stderr=subprocess.DEVNULL) as process:
        served = Served.__new__(Served)
        served.port, served.process, served.log = port, process, tricky_folder / "MLmodel"
        served.wait_ready()
        (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert Path(f"/proc/{first}/status").read_text().partition("NSpid:")[2].split()[:2] == [first, "1"]
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(served.invoke, {"inputs": [[WAIT, 1]]})
            while "penstock_running_requests 1" not in served.call("GET", "/metrics").body.decode():
                assert process.poll() is None
            os.kill(int(first), signal.SIGTERM)
            refuses(port)
            gate.touch()
            assert answer.result().json == {"predictions": [WAIT + 1]}
        assert process.wait(60) == 0


def refuses(port: int) -> None:
    """Returns once nobody listens there: the drain has begun."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionResetError:  # it stopped listening while this one was in the queue
            continue
        except ConnectionRefusedError:
            return
