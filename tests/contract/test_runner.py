"""Every isolation level keeps the same contract: it runs the image, as told, and leaves nothing."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.oci.digests import hex_of
from penstock.oci.image import Image
from penstock.oci.unpack import ensure_unpacked
from penstock.rehearsal.fleet.ports import Ports
from penstock.rehearsal.runner.container import Container, prepare, spawn, started_at, sweep
from penstock.rehearsal.runner.levels import LADDER, choose_level, probe
from penstock.rehearsal.runner.spec import ContainerSpec, Level
from rehearsal.planes import plane_cache, tiny
from rehearsal.tiny import BIND_LABEL

__all__ = ["plane_cache", "tiny"]
Run = Callable[..., Container]
DEADLINE_S = 30.0


@pytest.fixture(params=[kind.name for kind in LADDER])
def level(request: pytest.FixtureRequest, tmp_path: Path) -> Level:
    found: Level = next(kind for kind in LADDER if kind.name == request.param)()
    reason = found.why_not() or probe(found, scratch=tmp_path)
    if reason is not None:
        pytest.skip(f"{found.name}: {reason}")
    return found


@pytest.fixture
def run(level: Level, tiny: Image, plane_cache: Path, tmp_path: Path) -> Iterator[Run]:
    """Starts the tiny image at the level; whatever still runs at the end is ended."""
    started: list[Container] = []
    (plane_cache / "layers").mkdir(exist_ok=True)
    layers = [ensure_unpacked(layer, plane_cache / "layers" / hex_of(layer.diff_id)) for layer in tiny.layers]
    runtime = tiny.config.runtime
    assert runtime.labels == BIND_LABEL

    def start(model: Path | None = None, **environment: str) -> Container:
        port = Ports().take()
        variables = dict(item.split("=", 1) for item in runtime.env or ())
        spec = ContainerSpec(
            name=f"penstock-test-{os.getpid()}-{port}", home=tmp_path / f"c{port}", layers=tuple(reversed(layers)),
            argv=(*(runtime.entrypoint or ()), "serve"), model=model, port=port,
            environment={**variables, "SAGEMAKER_BIND_TO_PORT": str(port), **environment},
        )  # fmt: skip
        container = spawn(spec, level, prepare(spec, level))
        started.append(container)
        return container

    yield start
    for container in started:
        container.kill()
        container.process.wait(10)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def pings(container: Container) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{container.spec.port}/ping", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def healthy(container: Container) -> Container:
    until(lambda: pings(container) or container.exit_code is not None, "no ping")
    assert container.exit_code is None, container.log.read_text()
    return container


def told(container: Container) -> dict[str, object]:
    url = f"http://127.0.0.1:{container.spec.port}/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"), timeout=5) as answer:
        found: dict[str, object] = json.loads(answer.read())
    return found


def test_it_serves_with_its_environment_and_its_model_read_only(run: Run, level: Level, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("x")
    answer = told(healthy(run(model=model, GREETING="hello")))
    assert answer["greeting"] == "hello"
    if level.name != "process":  # which has no file system of its own to put the model into
        assert (answer["model"], answer["writable"]) == (["MLmodel"], False)
        assert answer["pid"] in (1, 2)
    assert [path.name for path in model.iterdir()] == ["MLmodel"]


def test_sigterm_ends_it_and_frees_its_port(run: Run) -> None:
    container = healthy(run())
    container.terminate()
    until(lambda: container.exit_code is not None, "it did not end")
    assert not pings(container)


def test_a_failing_start_ends_it_with_the_traceback_in_its_log(run: Run) -> None:
    container = run(FAIL="no weights")
    until(lambda: container.exit_code is not None, "it did not end")
    assert container.exit_code != 0
    assert container.log.read_text().strip().splitlines()[-1] == "ValueError: no weights"


def test_kill_leaves_no_process_and_no_mount(run: Run) -> None:
    container = healthy(run())
    children = descendants(container.process.pid)
    container.kill()
    container.process.wait(10)
    until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], "a process is left")
    container.remove()
    assert not container.spec.home.exists()
    assert str(container.spec.home) not in Path("/proc/mounts").read_text()


def test_sweep_ends_what_a_killed_plane_left(run: Run) -> None:
    container = healthy(run())
    home = container.spec.home
    assert sweep(home)
    until(lambda: container.exit_code is not None, "it did not end")
    assert not sweep(home)


def test_sweep_spares_a_process_that_only_bears_the_same_number(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{os.getpid()} 1")
    assert started_at(os.getpid()) != "1"
    assert not sweep(tmp_path)


def test_the_ladder_is_climbed_by_probes(tmp_path: Path) -> None:
    chosen, refused = choose_level(scratch=tmp_path)
    order = [kind.name for kind in LADDER]
    assert list(refused) == order[: order.index(chosen.name)]
    assert list(tmp_path.iterdir()) == []


def descendants(pid: int) -> set[int]:
    """The process and all below it."""
    found = {pid}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) in found:
            found.add(int(path.parent.name))
    return found
