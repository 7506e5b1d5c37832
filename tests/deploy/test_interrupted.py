"""Interrupted between every pair of adjacent steps: resumed, nothing is made twice; deleted, nothing is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

from deploy.stage import Stage
from penstock.deploy.apply import apply
from penstock.deploy.discover import discover
from penstock.deploy.ledger import Event, Ledger
from penstock.deploy.resources import Kind, Resource
from penstock.ground.errors import PenstockError, Unauthenticated, Unavailable

STEPS = 8  # role, bucket, repository, image, archive, model, config, endpoint


class Killed(BaseException):
    """As if the process had been killed: nothing in the program catches it."""


class MortalLedger(Ledger):
    """A ledger whose process dies right before or after its n-th record of making something."""

    def __init__(self, ledger: Ledger, *, at: int, before: bool) -> None:
        super().__init__(ledger.path)
        self._left = at
        self._before = before

    def record(self, deployment: str, event: Event, resource: Resource | None = None, **detail: Any) -> None:
        counted = event is (Event.MADE if self._before else Event.MAKING) and resource != _log_group(deployment)
        self._left -= counted
        if counted and self._left == 0 and self._before:
            raise Killed  # The thing is made, its "made" is not written: the worst moment.
        super().record(deployment, event, resource, **detail)
        if counted and self._left == 0:
            raise Killed  # "Making" is written, nothing is made yet.


def _log_group(deployment: str) -> Resource:
    return Resource(Kind.LOGS, f"/aws/sagemaker/Endpoints/{deployment}")


@pytest.mark.parametrize("made", [False, True], ids=["recorded", "made"])
def test_killed_at_every_step_and_resumed(stage: Stage, made: bool) -> None:
    """Each run gets one step further than the last before it dies, and the last one is let live."""
    name = f"resume-{int(made)}"
    request = stage.request(name)
    for run in range(STEPS):
        plan = stage.target.plan(request)
        create = [step.resource for step in plan.steps if step.action.value == "create"]
        assert len(create) == STEPS - (run if made else max(run - 1, 0))
        ledger = MortalLedger(stage.target.ledger, at=1 if made or run == 0 else 2, before=made)
        with pytest.raises(Killed):
            apply(plan, session=stage.aws, ledger=ledger, materials=stage.materials)
        assert create[0] in stage.target.ledger.resources(name)
    stage.target.settle(name)
    stage.deploy(request)
    _made_once(stage, name)
    assert stage.target.delete(name).nothing_left


@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_killed_at_every_step_and_deleted(stage: Stage, at: int) -> None:
    name = f"undo-{at}"
    plan = stage.target.plan(stage.request(name))
    ledger = MortalLedger(stage.target.ledger, at=at, before=True)
    with pytest.raises(Killed):
        apply(plan, session=stage.aws, ledger=ledger, materials=stage.materials)
    report = stage.target.delete(name)
    assert report.nothing_left, report
    assert discover(name, stage.aws).found == ()
    assert stage.target.ledger.resources(name) == ()


def _made_once(stage: Stage, name: str) -> None:
    kinds = [one.kind for one in discover(name, stage.aws).found if one.kind is not Kind.LOGS]
    assert sorted(kinds) == sorted([Kind.ENDPOINT, Kind.CONFIG, Kind.MODEL, Kind.IMAGE, Kind.ARCHIVE, Kind.ROLE])


CREATES = [
    ("iam", "CreateRole"),
    ("s3", "CreateBucket"),
    ("ecr", "CreateRepository"),
    ("s3", "PutObject"),
    ("sagemaker", "CreateModel"),
    ("sagemaker", "CreateEndpointConfig"),
    ("sagemaker", "CreateEndpoint"),
]


def test_answers_lost_after_acting_make_nothing_twice(stage: Stage) -> None:
    """Each create is acted on, and the connection breaks before its answer: botocore asks again, or we resume."""
    request = stage.request("lost")
    lost: list[str] = []

    def lose(event_name: str, **_: Any) -> None:
        if event_name not in lost:
            lost.append(event_name)
            raise ConnectionClosedError(endpoint_url="http://x")

    for service, operation in CREATES:
        stage.aws.client(service).meta.events.register(f"needs-retry.{service}.{operation}", lose)
    for _ in CREATES:
        try:
            stage.deploy(request)
            break
        except Unavailable:
            stage.target.settle("lost")
    assert len(lost) == len(CREATES)
    _made_once(stage, "lost")


def test_credentials_that_expire_in_mid_deploy_leave_a_job_to_resume(stage: Stage) -> None:
    request = stage.request("expired")
    plan = stage.target.plan(request)

    def refuse(**_: Any) -> Any:
        raise stage.aws.client("sagemaker").exceptions.ClientError(
            {"Error": {"Code": "ExpiredTokenException", "Message": "The security token is expired"}},
            "CreateEndpointConfig",
        )

    client = stage.aws.client("sagemaker")
    client.meta.events.register("before-call.sagemaker.CreateEndpointConfig", refuse, unique_id="expired")
    with pytest.raises(Unauthenticated, match="PENSTOCK-D025"):
        stage.apply(plan)
    assert any(one.kind is Kind.MODEL for one in discover("expired", stage.aws).found)
    client.meta.events.unregister("before-call.sagemaker.CreateEndpointConfig", refuse, unique_id="expired")
    again = stage.target.plan(request)
    assert {step.resource.kind.value for step in again.steps if step.action.value == "create"} == {"config", "endpoint"}
    stage.apply(again)
    _made_once(stage, "expired")


def test_throttling_and_server_errors_pass_by_themselves(stage: Stage) -> None:
    answers = [(400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}'), (503, b"{}"), (500, b"{}")]

    def fault(request: Any, **_: Any) -> Any:
        if not answers:
            return None
        status, body = answers.pop()
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, _Raw(body))

    stage.aws.client("sagemaker").meta.events.register("before-send.sagemaker.CreateModel", fault)
    stage.deploy(stage.request("throttled"))
    assert answers == []
    _made_once(stage, "throttled")


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body


def test_two_deploys_of_one_name_at_once_make_it_once(stage: Stage) -> None:
    request = stage.request("twice")

    def deploy() -> str:
        try:
            return stage.deploy(request).status
        except PenstockError as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: deploy(), range(2)))
    assert "InService" in outcomes
    assert set(outcomes) <= {"InService", "Conflict"}
    _made_once(stage, "twice")
