"""The image of every flavor, as strictly held as one can ask, answers as its model does in this process."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import missing
from contract.test_flavors import CASES, Case
from contract.test_runner import healthy
from journey.test_images_run import asked_inside, container
from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.settings import load_settings
from penstock.images.build import BuiltImage, build_image
from penstock.models.load import load_model
from penstock.models.pack import save_model
from penstock.models.trust import TRUSTED
from penstock.oci.digests import hex_of
from penstock.oci.unpack import ensure_unpacked, unpack_image
from penstock.rehearsal.fleet.ports import Ports
from penstock.rehearsal.runner.container import prepare, spawn
from penstock.rehearsal.runner.levels import choose_level
from penstock.rehearsal.runner.namespaces import Namespaces
from penstock.rehearsal.runner.podman import Podman
from penstock.rehearsal.runner.spec import ContainerSpec

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(600),  # a gigabyte of PyTorch is fetched, compiled and unpacked the first time
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(case.model, tmp_path_factory.mktemp("flavor") / "model", input_example=case.example[:3]).path


@pytest.fixture(scope="module")
def image(folder: Path) -> BuiltImage:
    """Built in the cache that people use, so that only the first run of the suite fetches and compiles."""
    return build_image(load_model(folder, trust=TRUSTED).folder, cache_dir=load_settings().cache_dir)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where layers are unpacked: NumPy's and the base's once for all flavors."""
    return tmp_path_factory.getbasetemp() / "unpacked"


def question(case: Case) -> str:
    rows = case.example[:3]
    if isinstance(rows, pd.DataFrame):
        return json.dumps({"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}})
    return json.dumps({"inputs": np.asarray(rows).tolist()})


def agree(answer: Any, expected: Any) -> None:
    """As equal as JSON lets numbers be; an answer of several outputs is compared by their names."""
    if isinstance(expected, dict):
        answers = {name: [row[name] for row in answer] for name in answer[0]} if isinstance(answer, list) else answer
        assert answers.keys() == expected.keys()
        for name, value in expected.items():
            agree(answers[name], value)
    else:
        np.testing.assert_allclose(np.asarray(answer, dtype=float), np.asarray(expected, dtype=float), rtol=1e-5)


def in_process(case: Case, folder: Path) -> Any:
    return load_model(folder, trust=TRUSTED).predict(case.example[:3])


def test_podman_with_a_read_only_root_no_network_and_any_user(
    tool: Callable[[str], Path], case: Case, folder: Path, image: BuiltImage, tmp_path: Path
) -> None:
    tool("podman")
    unpack_image(image.image, tmp_path)
    tmp_path.chmod(0o755)
    runtime = image.image.config.runtime
    environment = [f"--env={line}" for line in runtime.env or ()]
    strict = ["--network=none", "--read-only", "--cap-drop=all", "--user=12345:54321", "--rootfs", str(tmp_path)]
    with container([*environment, *strict, *(runtime.entrypoint or ()), "serve"]) as name:
        status, answer = asked_inside(name, question(case))
        assert status == 200
        agree(answer["predictions"], in_process(case, folder))


@pytest.fixture(params=[Podman.name, Namespaces.name])
def running(request: pytest.FixtureRequest, image: BuiltImage, layers: Path, tmp_path: Path) -> Iterator[int]:
    """The port of the image's container at a level of the plane's runner."""
    try:
        level, _ = choose_level(request.param, scratch=tmp_path)
    except EnvironmentMismatch as error:
        missing(f"the runner's level {request.param}", error.message)
    layers.mkdir(exist_ok=True)
    unpacked = [ensure_unpacked(layer, layers / hex_of(layer.diff_id)) for layer in image.image.layers]
    runtime, port = image.image.config.runtime, Ports().take()
    spec = ContainerSpec(
        name=f"penstock-test-{os.getpid()}-{port}",
        home=tmp_path / "container",
        layers=tuple(reversed(unpacked)),
        argv=(*(runtime.entrypoint or ()), "serve"),
        environment={
            **dict(line.split("=", 1) for line in runtime.env or ()),
            "SAGEMAKER_BIND_TO_PORT": str(port),
        },
        port=port,
    )
    started = spawn(spec, level, prepare(spec, level))
    try:
        healthy(started)
        yield port
    finally:
        started.kill()
        started.process.wait(10)


def test_the_planes_own_runner(running: int, case: Case, folder: Path) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{running}/invocations", question(case).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        agree(json.loads(answer.read())["predictions"], in_process(case, folder))
