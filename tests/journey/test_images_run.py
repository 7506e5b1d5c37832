"""The iris image, built from the real package sources, runs under a container engine as strictly as one can ask."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from penstock.ground.settings import load_settings
from penstock.images.build import BuiltImage, build_image
from penstock.images.contents import list_files
from penstock.images.places import write_image_files
from penstock.models.folder import read_model_folder
from penstock.models.load import load_model
from penstock.models.pack import save_model
from penstock.models.trust import TRUSTED
from penstock.oci.unpack import unpack_image

# The limits are named because podman cannot raise its own everywhere; see the runner's level of the same name.
RUN = ["podman", "--runtime=runc", "run", "--rm", "--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]
ASK = """
import json, sys, urllib.request
def ask(path, body=None):
    request = urllib.request.Request("http://127.0.0.1:8080" + path, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status, answer.read().decode()
print(json.dumps([ask("/ping")[0], json.loads(ask("/invocations", sys.argv[1].encode())[1])]))
"""


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows, kinds = load_iris(return_X_y=True)
    path = tmp_path_factory.mktemp("iris") / "model"
    model = LogisticRegression(max_iter=1000).fit(rows, kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # integer columns are a hint to the author, not to this test
        save_model(model, path, input_example=rows[:2])
    return path


@pytest.fixture(scope="module")
def image(iris: Path) -> BuiltImage:
    """Built in the cache that people use, so that only the first run of the suite fetches and compiles."""
    return build_image(read_model_folder(iris), cache_dir=load_settings().cache_dir)


@pytest.fixture(scope="module")
def root(image: BuiltImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("root")
    unpack_image(image.image, path)
    path.chmod(0o755)  # an engine's root is; a test's own folder is private
    return path


@pytest.fixture(scope="module")
def expected(iris: Path) -> tuple[str, list[int]]:
    """A request's body, and what the model in this process answers to it."""
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    answer = load_model(iris, trust=TRUSTED).predict(rows)
    return json.dumps({"inputs": rows}), [int(each) for each in answer]


@contextmanager
def container(arguments: list[str]) -> Iterator[str]:
    """A running container by its name; stopped as a platform stops it, by SIGTERM."""
    name = f"penstock-test-{os.getpid()}-{time.monotonic_ns()}"
    process = subprocess.Popen(
        [*RUN, "--name", name, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield name
    finally:
        subprocess.run(["podman", "stop", "--time", "20", "--ignore", name], capture_output=True, check=False)
        output, _ = process.communicate(timeout=30)
        assert process.returncode in (0, 143), output


def asked_inside(name: str, body: str) -> list[object]:
    """[ping's status, the answer] as seen by a client in the container, once it answers."""
    command = ["podman", "--runtime=runc", "exec", name, "/opt/venv/bin/python", "-c", ASK, body]
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            answer: list[object] = json.loads(done.stdout)
            return answer
        assert time.monotonic() < deadline, done.stderr


@pytest.mark.parametrize("user", ["0:0", "12345:54321"])
def test_it_runs_on_a_read_only_root_with_no_network_as_any_user(
    tool: Callable[[str], Path], root: Path, image: BuiltImage, expected: tuple[str, list[int]], user: str
):
    tool("podman")
    runtime = image.image.config.runtime
    environment = [f"--env={line}" for line in runtime.env or ()]
    command = [*(runtime.entrypoint or ()), "serve"]
    strict = ["--network=none", "--read-only", "--cap-drop=all", f"--user={user}", "--rootfs", str(root)]
    with container([*environment, *strict, *command]) as name:
        assert asked_inside(name, expected[0]) == [200, {"predictions": expected[1]}]


def test_an_engine_loads_the_archive_and_runs_it_as_sagemaker_does(
    tool: Callable[[str], Path],
    image: BuiltImage,
    expected: tuple[str, list[int]],
    tmp_path: Path,
):
    tool("podman")
    name = f"localhost/penstock-test:{os.getpid()}"
    write_image_files(image.image, tmp_path / "iris.tar", form="tar", name=name)
    subprocess.run(["podman", "load", "--input", str(tmp_path / "iris.tar")], check=True, capture_output=True)
    port = unused_port()
    try:
        with container(["--network=host", f"--env=SAGEMAKER_BIND_TO_PORT={port}", name, "serve"]):
            assert asked_outside(port, expected[0]) == {"predictions": expected[1]}
    finally:
        subprocess.run(["podman", "rmi", "--force", name], check=False, capture_output=True)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked_outside(port: int, body: str) -> object:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body.encode(), headers)
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_skopeo_reads_the_layout(tool: Callable[[str], Path], image: BuiltImage, tmp_path: Path):
    write_image_files(image.image, tmp_path / "layout", form="layout", name="v1")
    done = subprocess.run(
        [str(tool("skopeo")), "inspect", f"oci:{tmp_path / 'layout'}:v1"], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["Layers"] == [layer.digest for layer in image.image.layers]
    assert told["Labels"]["penstock.model.digest"] == f"sha256:{image.model_digest}"


def test_it_holds_no_compiler_no_shell_and_no_pip(image: BuiltImage):
    programs = {
        name.rsplit("/", 1)[-1] for name in list_files(image.image.layers) if "/bin/" in name or "/sbin/" in name
    }
    assert programs & {"python3", "serve"} == {"python3", "serve"}
    assert not programs & {"sh", "bash", "dash", "gcc", "cc", "ld", "pip", "pip3", "apt", "dpkg", "perl", "openssl"}


def test_it_is_small(image: BuiltImage):
    """A quarter of what MLflow's own recipe comes to is far above this; see bench/images.py."""
    assert image.image.size_bytes < 140_000_000
    assert len(image.image.layers) < 20
