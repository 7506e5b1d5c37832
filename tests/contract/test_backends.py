"""The store in this process and the store over the wire: the same methods, and the same answers to the same calls."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.api.backend import open_backend
from penstock.api.rest.store import RestRegistry, RestStore, RestTracking, open_rest_store
from penstock.ground.entities import (
    Dataset,
    DatasetInput,
    LifecycleStage,
    LoggedModelStatus,
    Metric,
    ModelInput,
    ModelOutput,
    Param,
    RunStatus,
    Tag,
    ViewType,
)
from penstock.ground.errors import AlreadyExists, InvalidInput, NotFound
from penstock.store.open import Store, open_store
from penstock.store.registry.whole import RegistryStore
from penstock.store.search.tree import parse_order
from penstock.store.search.vocabulary import LOGGED_MODELS
from penstock.store.tracking import TrackingStore
from server.running import options_in, running


@pytest.mark.parametrize(("over_wire", "here"), [(RestTracking, TrackingStore), (RestRegistry, RegistryStore)])
def test_every_method_over_the_wire_is_called_like_the_one_here(over_wire: type, here: type) -> None:
    for name, method in inspect.getmembers(over_wire, inspect.isfunction):
        if not name.startswith("_"):
            mine, theirs = inspect.signature(method), inspect.signature(getattr(here, name))
            assert [(each.name, each.kind) for each in mine.parameters.values()] == [
                (each.name, each.kind) for each in theirs.parameters.values()
            ], name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(options_in(tmp_path_factory.mktemp("server"))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=["here", "wire"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store | RestStore]:
    if request.param == "here":
        with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
            yield store
        return
    opened = open_rest_store(request.getfixturevalue("server"), artifact_root="")
    yield opened
    opened.close()


@pytest.fixture
def experiment(backend: Store, request: pytest.FixtureRequest) -> str:
    return backend.tracking.create_experiment(request.node.name, tags=[Tag(key="k", value="v")])


def test_experiments(backend: Store, experiment: str) -> None:
    tracking = backend.tracking
    found = tracking.get_experiment(experiment)
    assert found.tags == (Tag(key="k", value="v"),)
    assert tracking.find_experiment_by_name(found.name) == found
    assert tracking.find_experiment_by_name("no such name") is None
    with pytest.raises(AlreadyExists):
        tracking.create_experiment(found.name)
    with pytest.raises(NotFound):
        tracking.get_experiment("999999")
    tracking.set_experiment_tag(experiment, Tag(key="k", value="w"))
    tracking.delete_experiment_tag(experiment, "k")
    with pytest.raises(NotFound):
        tracking.delete_experiment_tag(experiment, "k")
    tracking.rename_experiment(experiment, f"{found.name} renamed")
    tracking.delete_experiment(experiment)
    page = tracking.search_experiments(filter=f"name = '{found.name} renamed'", view=ViewType.DELETED_ONLY, limit=1)
    assert [each.experiment_id for each in page.items] == [experiment]
    tracking.restore_experiment(experiment)
    assert tracking.get_experiment(experiment).lifecycle_stage is LifecycleStage.ACTIVE


def test_a_run_and_all_it_logs(backend: Store, experiment: str) -> None:
    tracking = backend.tracking
    run = tracking.create_run(
        experiment, run_name="first", start_time_ms=1000, user_id="ada", tags=[Tag(key="t", value="1")]
    )
    run_id = run.info.run_id
    points = [Metric(key="m", value=value, timestamp_ms=9, step=step) for step, value in enumerate((1.5, math.inf))]
    tracking.log_batch(
        run_id,
        metrics=[*points, Metric(key="nan", value=math.nan, timestamp_ms=1)],
        params=[Param(key="p", value="")],
        tags=[Tag(key="t", value="2")],
    )
    dataset = Dataset(name="rows", digest="12ab", source_type="local", source="{}", schema="[]")
    tracking.log_inputs(
        run_id, datasets=[DatasetInput(dataset=dataset, tags=(Tag(key="mlflow.data.context", value="training"),))]
    )
    info = tracking.update_run(run_id, status=RunStatus.FINISHED, end_time_ms=2000, run_name="second")
    assert (info.status, info.start_time_ms, info.end_time_ms, info.run_name) == (
        RunStatus.FINISHED,
        1000,
        2000,
        "second",
    )
    kept = tracking.get_run(run_id)
    assert kept.info == info
    values = {metric.key: metric.value for metric in kept.data.metrics}
    assert values["m"] == math.inf
    assert math.isnan(values["nan"])
    assert kept.data.params == (Param(key="p", value=""),)
    assert Tag(key="t", value="2") in kept.data.tags
    assert kept.dataset_inputs[0].dataset == dataset
    history = tracking.metric_history(run_id, "m", limit=1)
    assert [(point.value, point.step) for point in history.items] == [(1.5, 0)]
    rest = tracking.metric_history(run_id, "m", limit=5, page_token=history.next_page_token)
    assert ([point.value for point in rest.items], rest.next_page_token) == ([math.inf], None)
    with pytest.raises(InvalidInput):
        tracking.log_batch(run_id, params=[Param(key="p", value="other")])
    tracking.delete_tag(run_id, "t")
    with pytest.raises(NotFound):
        tracking.delete_tag(run_id, "t")
    with pytest.raises(NotFound):
        tracking.get_run("0" * 32)


def test_runs_are_searched_in_pages(backend: Store, experiment: str) -> None:
    tracking = backend.tracking
    made = [tracking.create_run(experiment, start_time_ms=start).info.run_id for start in (1, 2, 3)]
    tracking.log_batch(made[1], metrics=[Metric(key="m", value=1.0, timestamp_ms=1)])
    first = tracking.search_runs([experiment], order_by=["attributes.start_time ASC"], limit=2)
    second = tracking.search_runs(
        [experiment], order_by=["attributes.start_time ASC"], limit=2, page_token=first.next_page_token
    )
    assert [run.info.run_id for run in (*first.items, *second.items)] == made
    assert second.next_page_token is None
    found = tracking.search_runs([experiment], filter="metrics.m > 0")
    assert [run.info.run_id for run in found.items] == [made[1]]
    tracking.delete_run(made[0])
    assert len(tracking.search_runs([experiment]).items) == 2
    assert len(tracking.search_runs([experiment], view=ViewType.ALL).items) == 3
    tracking.restore_run(made[0])
    assert len(tracking.search_runs([experiment]).items) == 3
    with pytest.raises(InvalidInput):
        tracking.search_runs([experiment], filter="nonsense")


def test_logged_models(backend: Store, experiment: str) -> None:
    tracking = backend.tracking
    run_id = tracking.create_run(experiment).info.run_id
    model = tracking.create_logged_model(
        experiment, name="net", source_run_id=run_id, params=[Param(key="p", value="1")], tags=[Tag(key="t", value="1")]
    )
    assert model.status is LoggedModelStatus.PENDING
    tracking.log_batch(run_id, metrics=[Metric(key="m", value=0.5, timestamp_ms=1, model_id=model.model_id)])
    tracking.log_outputs(run_id, models=[ModelOutput(model_id=model.model_id, step=3)])
    tracking.log_inputs(run_id, models=[ModelInput(model_id=model.model_id)])
    assert tracking.finish_logged_model(model.model_id, LoggedModelStatus.READY).status is LoggedModelStatus.READY
    tracking.log_logged_model_params(model.model_id, [Param(key="q", value="2")])
    tracking.set_logged_model_tags(model.model_id, [Tag(key="a/b", value="x")])
    tracking.delete_logged_model_tag(model.model_id, "a/b")
    kept = tracking.get_logged_model(model.model_id)
    assert {param.key: param.value for param in kept.params} == {"p": "1", "q": "2"}
    assert [tag.key for tag in kept.tags] == ["t"]
    assert [(point.key, point.value, point.run_id) for point in kept.metrics] == [("m", 0.5, run_id)]
    run = tracking.get_run(run_id)
    assert run.model_outputs == (ModelOutput(model_id=model.model_id, step=3),)
    assert run.model_inputs == (ModelInput(model_id=model.model_id),)
    order = parse_order(["metrics.m DESC"], LOGGED_MODELS)
    found = tracking.search_logged_models([experiment], filter="metrics.m > 0.1", order_by=order)
    assert [each.model_id for each in found.items] == [model.model_id]
    tracking.delete_logged_model(model.model_id)
    with pytest.raises(NotFound):
        tracking.get_logged_model(model.model_id)


def test_the_registry(backend: Store, experiment: str, request: pytest.FixtureRequest) -> None:
    registry = backend.registry
    name = request.node.name
    run = backend.tracking.create_run(experiment)
    registry.create_registered_model(name, description="first", tags=[Tag(key="t", value="1")])
    with pytest.raises(AlreadyExists):
        registry.create_registered_model(name)
    source = f"{run.info.artifact_uri}/model"
    for number in (1, 2):
        version = registry.create_model_version(name, source, run_id=run.info.run_id, description=f"v{number}")
        assert (version.version, version.source, version.description) == (number, source, f"v{number}")
    registry.set_alias(name, "champion", 1)
    assert registry.get_by_alias(name, "champion").version == 1
    registry.set_alias(name, "champion", 2)
    registry.delete_alias(name, "champion")
    with pytest.raises(InvalidInput):
        registry.get_by_alias(name, "champion")
    assert registry.transition_stage(name, 1, stage="Production").current_stage == "Production"
    assert registry.transition_stage(name, 2, stage="Production", archive_existing_versions=True).version == 2
    assert [each.version for each in registry.latest_versions(name, stages=["Production"])] == [2]
    assert registry.update_model_version(name, 1, description="new").description == "new"
    registry.set_model_version_tag(name, 1, Tag(key="k", value="v"))
    assert registry.get_model_version(name, 1).tags == (Tag(key="k", value="v"),)
    registry.delete_model_version_tag(name, 1, "k")
    registry.set_registered_model_tag(name, Tag(key="u", value="2"))
    registry.delete_registered_model_tag(name, "t")
    model = registry.update_registered_model(name, description="second")
    assert (model.description, model.tags) == ("second", (Tag(key="u", value="2"),))
    assert len(registry.search_model_versions(filter=f"name = '{name}'").items) == 2
    assert [each.name for each in registry.search_registered_models(filter=f"name = '{name}'").items] == [name]
    kinds = [(change.kind, change.before, change.after) for change in registry.history(name)]
    assert ("alias", "1", "2") in kinds
    assert ("stage", "Production", "Archived") in kinds
    registry.delete_model_version(name, 2)
    assert registry.create_model_version(name, source, run_id=run.info.run_id).version == 3
    assert registry.rename_registered_model(name, f"{name} renamed").name == f"{name} renamed"
    registry.delete_registered_model(f"{name} renamed")
    with pytest.raises(NotFound):
        registry.get_registered_model(f"{name} renamed")


@pytest.mark.parametrize("uri", ["mlruns", "file:///x", "mysql://x", "databricks"])
def test_what_is_no_tracking_uri_is_told(uri: str) -> None:
    with pytest.raises(InvalidInput, match="penstock import"):
        open_backend(uri, artifact_root="")
