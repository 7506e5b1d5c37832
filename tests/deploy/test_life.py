"""A deployment's life on the plane, through boto3: made, the same again, changed, called, watched, deleted."""

from __future__ import annotations

import json

from msgspec.structs import replace

from deploy.stage import Stage
from penstock.deploy.steps import Action


def test_made_called_watched_and_deleted_with_nothing_left(stage: Stage) -> None:
    request = stage.request("life", env={"GREETING": "hello"}, tags={"team": "blue"})
    made = stage.deploy(request)
    assert (made.status, made.changed) == ("InService", True)
    answer = stage.target.invoke("life", b"1,2,3", content_type="text/csv")
    told = json.loads(answer.body)
    assert told["body"] == "1,2,3"
    assert told["greeting"] == "hello"
    assert told["model"] == ["MLmodel"]
    status = stage.target.status("life")
    assert status.variants[0].image == made.images["primary"]
    assert status.tags["team"] == "blue"
    assert any("served" in line.text for line in stage.target.logs("life"))
    assert stage.target.metrics("life").invocations == 1
    report = stage.target.delete("life")
    assert report.nothing_left, report
    assert {resource.kind.value for resource in report.removed} >= {"endpoint", "config", "model", "image", "archive"}
    assert stage.check.problems == []


def test_the_same_again_writes_nothing(stage: Stage) -> None:
    request = stage.request("again")
    stage.deploy(request)
    before = len(stage.check.operations)
    plan = stage.target.plan(request)
    assert not stage.apply(plan).changed
    stage.check.operations[:] = stage.check.operations[before:]
    assert stage.check.writes() == []


def test_an_update_changes_what_answers_and_keeps_what_was_not_mentioned(stage: Stage) -> None:
    stage.deploy(stage.request("update", env={"GREETING": "one", "VARIANT": "x"}))
    changed = stage.request("update", files={"MLmodel": "x", "more": "y"}, env={"GREETING": "two"})
    plan = stage.target.plan(changed)
    assert plan.count(Action.CHANGE) == 1
    stage.apply(plan)
    told = json.loads(stage.target.invoke("update", b"{}").body)
    assert (told["greeting"], told["variant"], told["model"]) == ("two", "x", ["MLmodel", "more"])
    assert stage.target.delete("update").nothing_left
    assert stage.check.problems == []


def test_only_tags_are_changed_when_only_tags_are_asked_for(stage: Stage) -> None:
    request = stage.request("tags")
    stage.deploy(request)
    stage.deploy(replace(request, tags={"cost": "42"}))
    assert stage.target.status("tags").tags["cost"] == "42"
    assert stage.check.names("sagemaker").count("UpdateEndpoint") == 0
