"""What every database behind the store must do: one suite, SQLite and PostgreSQL."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

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
from penstock.store.batches import RunBatch
from penstock.store.open import Store, open_store
from penstock.store.search.tree import OrderTerm


class HandClock:
    """A clock that moves one millisecond whenever it is read."""

    def __init__(self) -> None:
        self.time_ms = 1_000_000

    def now_ms(self) -> int:
        self.time_ms += 1
        return self.time_ms

    def sleep(self, seconds: float) -> None:
        self.time_ms += round(seconds * 1000)


@pytest.fixture(params=["sqlite", "postgres"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    import psycopg

    cluster = request.getfixturevalue("postgres_cluster")
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{cluster}/{name}"


@pytest.fixture
def store(uri: str) -> Iterator[Store]:
    with open_store(uri, clock=HandClock(), artifact_root="mlflow-artifacts:/") as opened:
        yield opened


def point(key: str, value: float, step: int = 0, timestamp_ms: int = 0, **more: Any) -> Metric:
    return Metric(key=key, value=value, timestamp_ms=timestamp_ms, step=step, **more)


def test_a_fresh_store_has_the_default_experiment(store: Store) -> None:
    default = store.tracking.get_experiment("0")
    assert (default.name, default.artifact_location) == ("Default", "mlflow-artifacts:/0")


def test_an_experiment_is_read_as_it_was_made(store: Store) -> None:
    tracking = store.tracking
    number = tracking.create_experiment("bees", tags=[Tag(key="team", value="hive")])
    experiment = tracking.get_experiment(number)
    assert experiment.artifact_location == f"mlflow-artifacts:/{number}"
    assert experiment.tags == (Tag(key="team", value="hive"),)
    assert tracking.find_experiment_by_name("bees") == experiment
    assert tracking.find_experiment_by_name("wasps") is None
    elsewhere = tracking.create_experiment("ants", artifact_location="s3://bucket/ants")
    assert tracking.get_experiment(elsewhere).artifact_location == "s3://bucket/ants"


def test_a_taken_name_is_refused_also_when_its_experiment_is_deleted(store: Store) -> None:
    number = store.tracking.create_experiment("bees")
    with pytest.raises(AlreadyExists, match=r"Experiment\(name=bees\) already exists"):
        store.tracking.create_experiment("bees")
    store.tracking.delete_experiment(number)
    with pytest.raises(AlreadyExists, match="deleted state"):
        store.tracking.create_experiment("bees")


def test_experiments_are_renamed_tagged_deleted_and_restored(store: Store) -> None:
    tracking = store.tracking
    number = tracking.create_experiment("bees")
    run = tracking.create_run(number)
    tracking.rename_experiment(number, "wasps")
    tracking.set_experiment_tag(number, Tag(key="a", value="1"))
    tracking.set_experiment_tag(number, Tag(key="a", value="2"))
    assert tracking.get_experiment(number).tags == (Tag(key="a", value="2"),)
    tracking.delete_experiment_tag(number, "a")
    with pytest.raises(NotFound):
        tracking.delete_experiment_tag(number, "a")
    tracking.delete_experiment(number)
    assert tracking.get_experiment(number).lifecycle_stage is LifecycleStage.DELETED
    assert tracking.get_run(run.info.run_id).info.lifecycle_stage is LifecycleStage.DELETED
    with pytest.raises(InvalidInput, match="must be in the 'active' state"):
        tracking.create_run(number)
    with pytest.raises(NotFound):
        tracking.delete_experiment(number)
    tracking.restore_experiment(number)
    assert tracking.get_run(run.info.run_id).info.lifecycle_stage is LifecycleStage.ACTIVE


def test_experiments_are_searched_and_paged(store: Store) -> None:
    tracking = store.tracking
    for index in range(5):
        tracking.create_experiment(f"e{index}", tags=[Tag(key="odd", value=str(index % 2))])
    first = tracking.search_experiments(limit=4)
    assert [experiment.name for experiment in first.items] == ["e4", "e3", "e2", "e1"]
    second = tracking.search_experiments(limit=4, page_token=first.next_page_token)
    assert [experiment.name for experiment in second.items] == ["e0", "Default"]
    assert second.next_page_token is None
    odd = tracking.search_experiments(filter="tags.odd = '1' AND name LIKE 'e%'", order_by=["name DESC"])
    assert [experiment.name for experiment in odd.items] == ["e3", "e1"]


def test_a_run_is_read_as_it_was_made(store: Store) -> None:
    run = store.tracking.create_run(
        "0", run_name="first", start_time_ms=17, user_id="ann", tags=[Tag(key="mlflow.user", value="ann")]
    )
    again = store.tracking.get_run(run.info.run_id)
    assert again == run
    assert again.info.artifact_uri == f"mlflow-artifacts:/0/{run.info.run_id}/artifacts"
    assert again.info.status is RunStatus.RUNNING
    assert {tag.key: tag.value for tag in again.data.tags} == {"mlflow.runName": "first", "mlflow.user": "ann"}


def test_a_run_without_a_name_gets_one_and_a_contradiction_is_refused(store: Store) -> None:
    run = store.tracking.create_run("0")
    assert run.info.run_name
    assert run.data.tags == (Tag(key="mlflow.runName", value=run.info.run_name),)
    with pytest.raises(InvalidInput, match="different values"):
        store.tracking.create_run("0", run_name="a", tags=[Tag(key="mlflow.runName", value="b")])


def test_a_run_is_updated_and_renamed_both_ways(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    info = tracking.update_run(run_id, status=RunStatus.FINISHED, end_time_ms=99, run_name="done")
    assert (info.status, info.end_time_ms, info.run_name) == (RunStatus.FINISHED, 99, "done")
    assert tracking.get_run(run_id).data.tags == (Tag(key="mlflow.runName", value="done"),)
    tracking.log_batch(run_id, tags=[Tag(key="mlflow.runName", value="again")])
    assert tracking.get_run(run_id).info.run_name == "again"
    assert tracking.update_run(run_id).status is RunStatus.FINISHED


def test_a_deleted_run_refuses_changes_until_restored(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    tracking.delete_run(run_id)
    with pytest.raises(InvalidInput):
        tracking.log_batch(run_id, params=[Param(key="a", value="1")])
    with pytest.raises(InvalidInput):
        tracking.update_run(run_id, status=RunStatus.FINISHED)
    for _ in range(2):
        tracking.delete_run(run_id)
        assert tracking.get_run(run_id).info.lifecycle_stage is LifecycleStage.DELETED
    for _ in range(2):
        tracking.restore_run(run_id)
    tracking.log_batch(run_id, params=[Param(key="a", value="1")])
    with pytest.raises(NotFound):
        tracking.get_run("nobody")


def test_latest_is_the_greatest_of_step_time_and_value_whatever_the_order(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    tracking.log_batch(run_id, metrics=[point("loss", 5, step=2, timestamp_ms=10), point("loss", 1, step=9)])
    tracking.log_batch(run_id, metrics=[point("loss", 7, step=3, timestamp_ms=99)])
    tracking.log_batch(run_id, metrics=[point("loss", 8, step=9), point("loss", 2, step=9)])
    (latest,) = tracking.get_run(run_id).data.metrics
    assert (latest.value, latest.step, latest.timestamp_ms) == (8, 9, 0)


def test_the_same_point_twice_is_one_point(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    tracking.log_batch(run_id, metrics=[point("a", 1), point("a", 1), point("a", math.nan)])
    tracking.log_batch(run_id, metrics=[point("a", 1), point("a", math.nan)])
    assert len(tracking.metric_history(run_id, "a").items) == 2


def test_special_numbers_survive(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    values = [math.inf, -math.inf, 1.7976931348623157e308, 5e-324, -0.0, 0.1]
    tracking.log_batch(run_id, metrics=[point("a", value, step=index) for index, value in enumerate(values)])
    tracking.log_batch(run_id, metrics=[point("a", math.nan, step=99)])
    history = [metric.value for metric in tracking.metric_history(run_id, "a").items]
    assert sorted(value for value in history if not math.isnan(value)) == sorted(values)
    (latest,) = tracking.get_run(run_id).data.metrics
    assert math.isnan(latest.value)


def test_history_comes_in_the_order_of_time_step_value_and_in_pages(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    points = [point("a", value, step, time) for time in (3, 1) for step in (2, 1) for value in (9, 8)]
    tracking.log_batch(run_id, metrics=points)
    token, seen = None, []
    while True:
        page = tracking.metric_history(run_id, "a", limit=3, page_token=token)
        seen += [(metric.timestamp_ms, metric.step, metric.value) for metric in page.items]
        token = page.next_page_token
        if token is None:
            break
    assert seen == sorted((metric.timestamp_ms, metric.step, metric.value) for metric in points)
    with pytest.raises(InvalidInput):
        tracking.metric_history(run_id, "a", page_token="zzz")


def test_sampled_history_keeps_the_ends_and_the_number_asked_for(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    tracking.log_batch(run_id, metrics=[point("a", index, step=index) for index in range(500)])
    steps = [metric.step for metric in tracking.sampled_history([run_id], "a", wanted=10)]
    assert len(steps) == 10
    assert (steps[0], steps[-1]) == (0, 499)
    gaps = {later - earlier for earlier, later in pairwise(steps)}
    assert max(gaps) - min(gaps) <= 1
    narrow = tracking.sampled_history([run_id], "a", steps=(100, 104), wanted=10)
    assert [metric.step for metric in narrow] == [100, 101, 102, 103, 104]
    assert len(tracking.bulk_history([run_id, "nobody"], "a", limit=7)) == 7


def test_a_param_keeps_its_value(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    tracking.log_batch(run_id, params=[Param(key="depth", value="3")])
    tracking.log_batch(run_id, params=[Param(key="depth", value="3")])
    with pytest.raises(InvalidInput, match="Changing param values is not allowed"):
        tracking.log_batch(run_id, params=[Param(key="depth", value="4")], metrics=[point("a", 1)])
    run = tracking.get_run(run_id)
    assert run.data.params == (Param(key="depth", value="3"),)
    assert run.data.metrics == ()


def test_a_batch_with_one_bad_item_stores_nothing(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    with pytest.raises(InvalidInput, match=r"metrics\[1\]\.name"):
        tracking.log_batch(run_id, metrics=[point("a", 1), point("../b", 1)], tags=[Tag(key="t", value="1")])
    with pytest.raises(InvalidInput, match="Duplicate parameter keys"):
        tracking.log_batch(run_id, params=[Param(key="a", value="1"), Param(key="a", value="1")])
    run = tracking.get_run(run_id)
    assert (run.data.metrics, run.data.params, len(run.data.tags)) == ((), (), 1)


def test_points_of_many_runs_go_together(store: Store) -> None:
    tracking = store.tracking
    runs = [tracking.create_run("0").info.run_id for _ in range(3)]
    tracking.delete_run(runs[2])
    special = (math.nan, math.inf, -math.inf, 0.1, 1e300)
    points = tuple(point(f"m{step % 2}", value, step=step) for step, value in enumerate(special))
    errors = tracking.log_batches(
        [
            RunBatch(run_id=runs[0], metrics=points),
            RunBatch(run_id=runs[1], metrics=(point("a", 1.0), point("a", 2.0))),
            RunBatch(run_id=runs[1]),
            RunBatch(run_id=runs[2], metrics=(point("a", 1.0),)),
            RunBatch(run_id="absent", metrics=(point("a", 1.0),)),
            RunBatch(run_id=runs[1], metrics=(point("../a", 1.0),)),
            RunBatch(run_id=runs[1], metrics=(point("b", 5.0, step=3), point("b", 4.0, step=2))),
        ]
    )
    assert [type(error) for error in errors] == [type(None)] * 3 + [InvalidInput, NotFound, InvalidInput, type(None)]
    values = [found.value for key in ("m0", "m1") for found in tracking.metric_history(runs[0], key).items]
    assert str(values) == str([special[0], special[2], special[4], special[1], special[3]])
    latest = {metric.key: (metric.value, metric.step) for metric in tracking.get_run(runs[1]).data.metrics}
    assert latest == {"a": (2.0, 0), "b": (5.0, 3)}


def test_bad_batches_do_not_harm_the_good_ones_beside_them(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    errors = tracking.log_batches(
        [
            RunBatch(run_id=run_id, params=(Param(key="a", value="1"),)),
            RunBatch(run_id="nobody", metrics=(point("m", 1),)),
            RunBatch(run_id=run_id, params=(Param(key="a", value="2"),)),
            RunBatch(run_id=run_id, metrics=(point("m", 2),)),
        ]
    )
    assert [type(error) for error in errors] == [type(None), NotFound, InvalidInput, type(None)]
    run = tracking.get_run(run_id)
    assert (run.data.params, len(run.data.metrics)) == ((Param(key="a", value="1"),), 1)


def test_tags_are_set_overwritten_and_deleted(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0", run_name="r").info.run_id
    tracking.log_batch(run_id, tags=[Tag(key="a", value="1"), Tag(key="a", value="2")])
    assert Tag(key="a", value="2") in tracking.get_run(run_id).data.tags
    tracking.delete_tag(run_id, "a")
    with pytest.raises(NotFound, match="No tag with name: a"):
        tracking.delete_tag(run_id, "a")


def test_inputs_and_outputs_are_read_as_they_were_logged(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    model_id = tracking.create_logged_model("0", name="m").model_id
    dataset = Dataset(name="iris", digest="abc", source_type="local", source="{}", schema="{}", profile=None)
    entry = DatasetInput(dataset=dataset, tags=(Tag(key="mlflow.data.context", value="train"),))
    for _ in range(2):
        tracking.log_inputs(run_id, datasets=[entry], models=[ModelInput(model_id=model_id)])
        tracking.log_outputs(run_id, models=[ModelOutput(model_id=model_id, step=3)])
    run = tracking.get_run(run_id)
    assert run.dataset_inputs == (entry,)
    assert run.model_inputs == (ModelInput(model_id=model_id),)
    assert run.model_outputs == (ModelOutput(model_id=model_id, step=3),)
    (summary,) = tracking.list_datasets(["0"])
    assert (summary.name, summary.digest, summary.context) == ("iris", "abc", "train")
    assert len(tracking.search_runs(["0"], filter="dataset.context = 'train' AND dataset.name LIKE 'ir%'").items) == 1


def test_logged_models_live_from_pending_to_deleted(store: Store) -> None:
    tracking = store.tracking
    made = tracking.create_logged_model("0", name="m", model_type="clf", params=[Param(key="p", value="1")])
    assert made.status is LoggedModelStatus.PENDING
    assert made.artifact_uri == f"mlflow-artifacts:/0/models/{made.model_id}/artifacts"
    ready = tracking.finish_logged_model(made.model_id, LoggedModelStatus.READY)
    assert ready.status is LoggedModelStatus.READY
    tracking.set_logged_model_tags(made.model_id, [Tag(key="t", value="1")])
    tracking.log_logged_model_params(made.model_id, [Param(key="q", value="2")])
    run_id = tracking.create_run("0").info.run_id
    tracking.log_batch(
        run_id, metrics=[point("acc", 0.9, model_id=made.model_id, dataset_name="d", dataset_digest="x")]
    )
    model = tracking.get_logged_model(made.model_id)
    assert [param.key for param in model.params] == ["p", "q"]
    assert [(metric.key, metric.dataset_name, metric.run_id) for metric in model.metrics] == [("acc", "d", run_id)]
    tracking.delete_logged_model_tag(made.model_id, "t")
    with pytest.raises(NotFound):
        tracking.delete_logged_model_tag(made.model_id, "t")
    tracking.delete_logged_model(made.model_id)
    with pytest.raises(NotFound):
        tracking.get_logged_model(made.model_id)
    with pytest.raises(NotFound):
        tracking.log_batch(run_id, metrics=[point("a", 1, model_id="m-nobody")])


def test_logged_models_are_searched_by_metric_and_ordered_by_one_dataset(store: Store) -> None:
    tracking = store.tracking
    run_id = tracking.create_run("0").info.run_id
    ids = [tracking.create_logged_model("0", name=f"m{index}").model_id for index in range(3)]
    for index, model_id in enumerate(ids):
        metric = point("acc", index, model_id=model_id, dataset_name="d" if index else "e")
        tracking.log_batch(run_id, metrics=[metric])
    found = tracking.search_logged_models(["0"], filter="metrics.acc >= 0", datasets=[("d", None)])
    assert {model.name for model in found.items} == {"m1", "m2"}
    order = [OrderTerm("metric", "acc", False, "d")]
    ordered = tracking.search_logged_models(["0"], order_by=order, limit=2)
    assert [model.name for model in ordered.items] == ["m2", "m1"]
    rest = tracking.search_logged_models(["0"], order_by=order, limit=2, page_token=ordered.next_page_token)
    assert [model.name for model in rest.items] == ["m0"]
    with pytest.raises(InvalidInput, match="another search"):
        tracking.search_logged_models(["0"], limit=2, page_token=ordered.next_page_token)


def test_runs_are_searched_ordered_and_paged(store: Store) -> None:
    tracking = store.tracking
    names = {}
    for index in range(6):
        run = tracking.create_run("0", run_name=f"r{index}", start_time_ms=index)
        names[run.info.run_id] = run.info.run_name
        metrics = [point("acc", [0.1, 0.9, math.nan, 0.5, math.inf, 0.7][index])] if index != 3 else []
        params = [Param(key="kind", value="big" if index % 2 else "small")]
        tracking.log_batch(run.info.run_id, metrics=metrics, params=params)

    def search(**wanted: Any) -> list[str]:
        return [run.info.run_name for run in tracking.search_runs(["0"], **wanted).items]

    assert search() == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert search(order_by=["metrics.acc DESC"]) == ["r4", "r1", "r5", "r0", "r2", "r3"]
    assert search(order_by=["metrics.acc"]) == ["r0", "r5", "r1", "r4", "r2", "r3"]
    assert search(filter="metrics.acc > 0.5 AND params.kind = 'big'", order_by=["metrics.acc"]) == ["r5", "r1"]
    assert search(filter="metrics.acc != 0.1") == ["r5", "r4", "r2", "r1"]
    assert search(filter="params.kind LIKE 'b%' AND attributes.start_time < 4") == ["r3", "r1"]
    assert search(filter="params.kind ILIKE 'B%' AND tags.`mlflow.runName` != 'r1'") == ["r5", "r3"]
    assert search(filter="params.missing IS NULL AND metrics.acc = 0.9") == ["r1"]
    assert search(filter="params.kind IS NOT NULL", order_by=["params.kind", "attributes.run_name DESC"])[:2] == [
        "r5",
        "r3",
    ]
    first = next(iter(names))
    assert search(filter=f"run_id IN ('{first}', 'x')") == ["r0"]
    assert search(filter=f"run_id NOT IN ('{first}')") == ["r5", "r4", "r3", "r2", "r1"]
    tracking.delete_run(first)
    assert search(view=ViewType.DELETED_ONLY) == ["r0"]
    assert len(search(view=ViewType.ALL)) == 6
    page = tracking.search_runs(["0"], limit=3)
    rest = tracking.search_runs(["0"], limit=3, page_token=page.next_page_token)
    assert [run.info.run_name for run in rest.items] == ["r2", "r1"]
    assert tracking.search_runs([], limit=3).items == ()
    assert tracking.search_runs(["0", "77"], filter="metrics.acc > 0.8").next_page_token is None


def test_registered_models_live_from_creation_to_deletion(store: Store) -> None:
    registry = store.registry
    made = registry.create_registered_model("m", description="one", tags=[Tag(key="a", value="1")])
    assert (made.description, made.tags) == ("one", (Tag(key="a", value="1"),))
    with pytest.raises(AlreadyExists, match=r"Registered Model \(name=m\) already exists"):
        registry.create_registered_model("m")
    assert registry.update_registered_model("m", description="two").description == "two"
    registry.set_registered_model_tag("m", Tag(key="b", value="2"))
    registry.delete_registered_model_tag("m", "a")
    registry.delete_registered_model_tag("m", "a")
    version = registry.create_model_version("m", "s3://bucket/m", tags=[Tag(key="v", value="1")], run_id="r")
    assert (version.version, version.current_stage, version.status) == (1, "None", "READY")
    renamed = registry.rename_registered_model("m", "n")
    assert [entry.version for entry in renamed.latest_versions] == [1]
    assert renamed.latest_versions[0].tags == (Tag(key="v", value="1"),)
    with pytest.raises(NotFound):
        registry.get_registered_model("m")
    registry.delete_registered_model("n")
    with pytest.raises(NotFound):
        registry.get_model_version("n", 1)


def test_a_deleted_version_keeps_its_number_and_nothing_else(store: Store) -> None:
    registry = store.registry
    registry.create_registered_model("m")
    for _ in range(2):
        registry.create_model_version("m", "s3://bucket/m")
    registry.set_alias("m", "champion", 2)
    registry.delete_model_version("m", 2)
    with pytest.raises(NotFound):
        registry.get_model_version("m", 2)
    with pytest.raises(InvalidInput, match="alias champion not found"):
        registry.get_by_alias("m", "champion")
    assert registry.create_model_version("m", "s3://bucket/m").version == 3
    assert [version.version for version in registry.search_model_versions(filter="name = 'm'").items] == [3, 1]


def test_aliases_and_stages_move_and_their_history_is_kept(store: Store) -> None:
    registry = store.registry
    registry.create_registered_model("m")
    for _ in range(2):
        registry.create_model_version("m", "s3://bucket/m")
    registry.set_alias("m", "champion", 1, user_id="ann")
    registry.set_alias("m", "champion", 2, user_id="bob")
    registry.set_alias("m", "champion", 2, user_id="eve")
    assert registry.get_by_alias("m", "champion").version == 2
    assert registry.get_by_alias("m", "latest").version == 2
    assert registry.get_model_version("m", 2).aliases == ("champion",)
    registry.transition_stage("m", 1, stage="production", user_id="ann")
    registry.transition_stage("m", 2, stage="Production", archive_existing_versions=True, user_id="bob")
    assert registry.get_model_version("m", 1).current_stage == "Archived"
    assert [version.version for version in registry.latest_versions("m", stages=["Production"])] == [2]
    registry.delete_alias("m", "champion")
    moves = [
        (change.kind, change.alias, change.before, change.after, change.user_id) for change in registry.history("m")
    ]
    assert moves == [
        ("alias", "champion", None, "1", "ann"),
        ("alias", "champion", "1", "2", "bob"),
        ("stage", None, "None", "Production", "ann"),
        ("stage", None, "Production", "Archived", "bob"),
        ("stage", None, "None", "Production", "bob"),
        ("alias", "champion", "2", None, None),
    ]
    with pytest.raises(InvalidInput, match="reserved"):
        registry.set_alias("m", "v1", 1)
    with pytest.raises(InvalidInput, match="Invalid Model Version stage"):
        registry.transition_stage("m", 1, stage="moon")


def test_registered_models_are_searched_and_prompts_left_out(store: Store) -> None:
    registry = store.registry
    for name in ("a", "b", "prompt"):
        tags = [Tag(key="mlflow.prompt.is_prompt", value="true")] if name == "prompt" else []
        registry.create_registered_model(name, tags=tags)
    found = registry.search_registered_models(filter="tag.`mlflow.prompt.is_prompt` != 'true'", order_by=["name DESC"])
    assert [model.name for model in found.items] == ["b", "a"]
    page = registry.search_registered_models(limit=2)
    rest = registry.search_registered_models(limit=2, page_token=page.next_page_token)
    assert [model.name for model in (*page.items, *rest.items)] == ["a", "b", "prompt"]


def test_many_threads_count_versions_without_a_gap(store: Store) -> None:
    store.registry.create_registered_model("m")
    numbers: list[int] = []

    def register() -> None:
        numbers.extend(store.registry.create_model_version("m", "s3://bucket/m").version for _ in range(5))

    in_threads(register, count=4)
    assert sorted(numbers) == list(range(1, 21))


def test_many_threads_race_for_one_param_and_one_wins(store: Store) -> None:
    run_id = store.tracking.create_run("0").info.run_id
    outcomes: list[str] = []

    def race(value: str) -> None:
        try:
            store.tracking.log_batch(run_id, params=[Param(key="p", value=value)])
            outcomes.append(value)
        except InvalidInput:
            pass

    threads = [threading.Thread(target=race, args=(str(index),)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Param(key="p", value=value) for value in outcomes] == list(store.tracking.get_run(run_id).data.params)


def in_threads(work: Callable[[], None], *, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
