"""MLflow's own web pages, 3.x's and 2.x's, served by our server and looked at in a real browser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import penstock
from penstock.api.chosen import chosen
from penstock.api.connection import disconnect_all
from wire.browser import Browser, browser
from wire.peers import our_server

pytestmark = pytest.mark.full  # two bundles of 4 MB scripts in a browser: half a minute

BUNDLE = Path("mlflow/server/js/build")
# What the pages ask of a server that MLflow's own does not have without its extras either, or that is for GenAI.
EXPECTED = ("/users/current", "/assistant/", "/traces/", "/datasets/search")


@pytest.fixture(scope="module", params=["mlflow", "mlflow2"])
def url(
    request: pytest.FixtureRequest, peer_python: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    library = next((peer_python(request.param).parent.parent / "lib").glob("python3*/site-packages"))
    with our_server(tmp_path_factory.mktemp(request.param), "--ui", str(library / BUNDLE)) as started:
        yield started


@pytest.fixture
def run_id(url: str, state_dir: Path) -> Iterator[str]:
    """A finished run with something to see on each of its tabs."""
    penstock.set_tracking_uri(url)
    penstock.set_experiment("river study")
    with penstock.start_run(run_name="upper weir", description="Seen *from* the bridge") as run:
        penstock.log_params({"depth": 3.5, "kind": "sluice"})
        for step in range(30):
            penstock.log_metric("flow", math.sin(step), step=step)
        penstock.log_metric("peak", 0.8125)
        penstock.log_metric("unknown", math.nan)
        penstock.set_tag("team", "hydro")
        penstock.log_text("the level is low", "notes/level.txt")
        penstock.log_dict({"gates": [1, 2]}, "plan.json")
    yield run.info.run_id
    disconnect_all()
    chosen.reset()


def test_the_run_table_and_a_run_page(url: str, run_id: str, tmp_path: Path) -> None:
    experiment = penstock.get_run(run_id).info.experiment_id
    with browser(tmp_path) as window:
        window.open(f"{url}/#/experiments/{experiment}/runs")
        window.shows("river study", "upper weir", "matching run")
        page = f"{url}/#/experiments/{experiment}/runs/{run_id}"
        window.open(page)
        window.shows("upper weir", "Finished", run_id, "Seen from the bridge", "hydro", "sluice", "0.8125")
        window.open(f"{page}/model-metrics")
        window.shows("flow", "peak")
        window.waits_for(".js-plotly-plot .scatterlayer .trace")
        window.open(f"{page}/artifacts")
        window.shows("notes", "plan.json")
        window.click("plan.json")
        window.shows('"gates"')
        _no_complaint(window)


def _no_complaint(window: Browser) -> None:
    window.listen()
    failed = [(status, link) for status, link in window.answers if status >= 400]
    assert not [each for each in failed if not any(part in each[1] for part in EXPECTED)], failed
    assert len(window.answers) > 20
