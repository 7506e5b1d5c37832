"""Our client against stock ``mlflow server``s, 3.x and 2.x, and moving in from one while it runs."""

from __future__ import annotations

import math
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import penstock
from penstock.api.chosen import chosen
from penstock.api.connection import disconnect_all
from penstock.api.recording.spool import list_spools
from penstock.api.sync import sync
from penstock.api.tracking import log_model_folder
from penstock.api.transfer import import_from
from penstock.ground.errors import InvalidInput, NotFound, NotImplementedHere
from wire.answers import difference
from wire.away import check_arrived, write_while_away
from wire.conversation import STEPS, hold
from wire.mlflow_servers import forwarding, free_port, stock_server
from wire.peers import our_server

pytestmark = pytest.mark.full  # a stock server takes twenty seconds to start, and there are two


@pytest.fixture(scope="module", params=["mlflow", "mlflow2"])
def server(
    request: pytest.FixtureRequest, peer_python: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with stock_server(peer_python(request.param), tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture(autouse=True)
def _in_force(server: str, state_dir: Path) -> Iterator[None]:
    penstock.set_tracking_uri(server)
    yield
    penstock.end_run()
    disconnect_all()
    chosen.reset()


def test_the_common_notebook_and_a_move(server: str, tmp_path: Path) -> None:
    penstock.set_experiment("notebook")
    with penstock.start_run(run_name="first", description="why") as run:
        penstock.log_params({"depth": 3, "empty": ""})
        for step in range(1500):
            penstock.log_metric("loss", 1 / (step + 1), step=step)
        penstock.log_metric("nan", math.nan)
        penstock.set_tag("team", "flowers")
        penstock.log_input(penstock.data.from_numpy(_Array(), name="rows"), context="training")
        penstock.log_text("héllo", "notes/a b.txt")
        penstock.log_stream(_Zeros(5 << 20), "big.bin")
        with penstock.start_run(nested=True):
            pass
    run_id = run.info.run_id
    kept = penstock.get_run(run_id)
    assert (kept.info.status, kept.data.params) == ("FINISHED", {"depth": "3", "empty": ""})
    assert math.isnan(kept.data.metrics["nan"])
    assert len(penstock.MlflowClient().get_metric_history(run_id, "loss")) == 1500
    assert kept.inputs.dataset_inputs[0].dataset.name == "rows"
    assert {info.path: info.size_bytes for info in penstock.list_artifacts(run_id=run_id)} == {
        "big.bin": 5 << 20,
        "notes": None,
    }
    assert penstock.load_text(f"runs:/{run_id}/notes/a b.txt") == "héllo"
    assert Path(penstock.download_artifacts(run_id=run_id, artifact_path="big.bin")).stat().st_size == 5 << 20
    found = penstock.search_runs(filter_string="metrics.loss < 1 AND params.depth = '3'", output_format="list")
    assert [each.info.run_id for each in found] == [run_id]
    with pytest.raises(InvalidInput, match="Changing param values"):
        penstock.MlflowClient().log_param(run_id, "depth", 4, synchronous=True)
    with pytest.raises(NotFound):
        penstock.get_run("0" * 32)
    _models(tmp_path)
    report = import_from(server, into=f"sqlite:///{tmp_path / 'here.db'}", artifact_root=str(tmp_path / "here"))
    assert report.agrees, report.lines
    counts = {line.what: line.here for line in report.lines}
    assert (counts["runs"], counts["points"], counts["versions"], counts["aliases"]) == (3, 1501, 1, 1)
    here = penstock.MlflowClient(f"sqlite:///{tmp_path / 'here.db'}")
    assert here.get_run(run_id).info.start_time == kept.info.start_time
    assert Path(here.download_artifacts(run_id, "notes/a b.txt", tmp_path / "got")).read_text() == "héllo"


def test_what_waited_arrives_under_the_servers_own_ids(server: str, tmp_path: Path, state_dir: Path) -> None:
    with free_port() as port:
        written = write_while_away(f"http://127.0.0.1:{port}", tmp_path / "work")
    (spool,) = list_spools(state_dir)
    kept = {path.name: path.read_bytes() for path in spool.folder.iterdir() if path.name != ".lock"}
    with forwarding(port, server):
        for _ in range(2):  # the second time as after a crash before anything was acknowledged
            for name, content in kept.items():
                (spool.folder / name).write_bytes(content)
            report = sync()
            assert (report.refused, report.waiting) == ((), 0)
    version = urllib.request.urlopen(f"{server}/version").read().decode()
    check_arrived(server, written, tmp_path, keeps_ids=False, has_models=not version.startswith("2."))


def test_raw_requests_over_every_route_are_answered_alike(peer_python: Callable[[str], Path], tmp_path: Path) -> None:
    with stock_server(peer_python("mlflow"), tmp_path / "stock") as theirs, our_server(tmp_path / "ours") as ours:
        answers = list(zip(STEPS, hold(theirs, STEPS), hold(ours, STEPS), strict=True))
    differences = {f"{step.method} {step.path} {step.fields}": difference(step, *two) for step, *two in answers}
    assert not {step: found for step, found in differences.items() if found}
    assert len(answers) > 300


def _models(tmp_path: Path) -> None:
    """A model logged, registered and found again by every name; a 2.x server keeps it among the run's artifacts."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    with penstock.start_run() as run:
        info = log_model_folder(folder, "net", registered_model_name="flowers")
    penstock.set_registered_model_alias("flowers", "champion", 1)
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/net", "models:/flowers/1", "flowers@champion"):
        assert (penstock.resolve_model(uri) / "MLmodel").read_text() == "flavors: {}\n", uri
    with pytest.raises(NotFound, match="Near matches: flowers"):
        penstock.resolve_model("flower@champion")
    with pytest.raises(NotImplementedHere, match="no history"):
        penstock.MlflowClient().get_registered_model_history("flowers")


class _Array:
    dtype = "float64"
    shape = (2, 3)
    nbytes = 48

    def tobytes(self) -> bytes:
        return bytes(48)


class _Zeros:
    """A stream of zero bytes."""

    def __init__(self, size_bytes: int) -> None:
        self.left = size_bytes

    def read(self, size: int = -1, /) -> bytes:
        chunk = bytes(min(size, self.left) if size >= 0 else self.left)
        self.left -= len(chunk)
        return chunk
