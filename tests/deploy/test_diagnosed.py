"""Rows of the failures' table reproduced on the plane: each is told by its code, its cause and the next command.

What the plane has none of (capacity, rights, a throttled account) is put into its answer on the way; the rest happens.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from deploy.stage import Stage
from penstock.deploy.discover import discover
from penstock.deploy.failure import DeploymentFailed
from penstock.deploy.request import Alarms, Rollout
from penstock.deploy.resources import Kind
from penstock.ground.errors import Conflict, Forbidden, ModelFailed, PenstockError, Unauthenticated, Unavailable


def _attributes(stage: Stage, mode: str) -> None:
    """Every invocation from here on asks the tiny server to behave like that."""

    def add(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["X-Amzn-SageMaker-Custom-Attributes"] = mode

    client = stage.aws.client("sagemaker-runtime")
    client.meta.events.register_first("before-call.sagemaker-runtime.InvokeEndpoint", add)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body


def _answers(stage: Stage, event: str, code: str, message: str, *, status: int = 400) -> None:
    def answer(request: Any, **_: Any) -> AWSResponse:
        body = json.dumps({"__type": code, "message": message}).encode()
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, _Raw(body))

    stage.aws.client(event.partition(".")[0]).meta.events.register(f"before-send.{event}", answer)


def test_an_alarm_that_rings_rolls_back_and_is_named(stage: Stage) -> None:
    stage.deploy(stage.request("alarm", env={"GREETING": "old"}))
    rollout = Rollout(strategy="canary", step_percent=50, wait_s=3000)
    request = stage.request("alarm", env={"GREETING": "new"}, alarms=Alarms(errors_5xx_per_minute=0.5), rollout=rollout)
    _attributes(stage, "status=500")
    with pytest.raises(DeploymentFailed) as caught, Called(lambda: stage.target.invoke("alarm", b"{}")):
        stage.deploy(request)
    error = caught.value
    assert (error.exit_code, error.rolled_back) == (5, True)
    assert error.diagnosis is not None
    assert error.diagnosis.code == "PENSTOCK-D023"
    assert "the alarm 'penstock-alarm-primary-5xx' is in ALARM: " in error.message
    assert "former config" in error.message
    left = [one.kind for one in discover("alarm", stage.aws).found]
    assert left.count(Kind.CONFIG) == 1
    assert Kind.ALARM not in left, "what the failed update made is gone"
    assert [entry.event.value for entry in stage.target.ledger.history("alarm")] == ["served", "failed"]


class Called:
    """Calls again and again in the background while the block runs; errors are what the caller wants."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            try:
                self._call()
            except PenstockError:
                continue

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


REASONS = {
    "D009": "Request to service failed. If failure persists after retry, contact customer support.",
    "D012": "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error.",
}


@pytest.mark.parametrize("code", sorted(REASONS))
def test_what_the_platform_says_of_a_fleet_that_did_not_come(stage: Stage, code: str) -> None:
    name = f"fleet-{code.lower()}"

    def fail(parsed: dict[str, Any], **_: Any) -> None:
        if parsed.get("EndpointStatus") == "InService":
            parsed |= {"EndpointStatus": "Failed", "FailureReason": REASONS[code]}

    events = stage.aws.client("sagemaker").meta.events
    events.register("after-call.sagemaker.DescribeEndpoint", fail, unique_id="fail")
    with pytest.raises(DeploymentFailed, match=f"PENSTOCK-{code}") as caught:
        stage.deploy(stage.request(name))
    events.unregister("after-call.sagemaker.DescribeEndpoint", fail, unique_id="fail")
    assert REASONS[code].rstrip(".") in caught.value.message
    assert [one for one in discover(name, stage.aws).found if one.kind is not Kind.LOGS] == []


def test_a_registrys_token_that_is_no_good(stage: Stage) -> None:
    def spoil(parsed: dict[str, Any], **_: Any) -> None:
        for data in parsed["authorizationData"]:
            data["authorizationToken"] = base64.b64encode(b"AWS:expired").decode()

    events = stage.aws.client("ecr").meta.events
    events.register("after-call.ecr.GetAuthorizationToken", spoil, unique_id="spoil")
    with pytest.raises(Unauthenticated, match="PENSTOCK-D013"):
        stage.deploy(stage.request("token"))
    events.unregister("after-call.ecr.GetAuthorizationToken", spoil, unique_id="spoil")
    assert stage.deploy(stage.request("token")).status == "InService", "new credentials, and the same job goes on"


def test_rights_on_the_registry_that_are_missing(stage: Stage) -> None:
    message = "User: x is not authorized to perform: ecr:DescribeRepositories on resource: y"
    _answers(stage, "ecr.DescribeRepositories", "AccessDeniedException", message)
    with pytest.raises(Forbidden, match="PENSTOCK-D014"):
        stage.deploy(stage.request("rights"))


def test_an_endpoint_that_is_still_being_made(stage: Stage) -> None:
    stage.deploy(stage.request("hasty"), wait=False)
    config = stage.aws.call("sagemaker", "describe_endpoint", EndpointName="hasty")["EndpointConfigName"]
    with pytest.raises(Conflict, match="PENSTOCK-D015"):
        stage.aws.call("sagemaker", "update_endpoint", EndpointName="hasty", EndpointConfigName=config)
    assert stage.target.settle("hasty") == "InService"


@pytest.mark.parametrize(("status", "code"), [(500, "D016"), (413, "D018"), (415, "D037")])
def test_what_the_model_answers(stage: Stage, status: int, code: str) -> None:
    name = f"answers-{status}"
    stage.deploy(stage.request(name))
    _attributes(stage, f"status={status}")
    with pytest.raises(ModelFailed, match=f"PENSTOCK-{code}") as caught:
        stage.target.invoke(name, b"{}")
    assert f"answered {status}: division by zero" in caught.value.message
    if status == 500:
        assert "ZeroDivisionError" in caught.value.message, "the traceback, at once"


@pytest.mark.full
def test_a_call_that_takes_longer_than_a_minute(stage: Stage) -> None:
    stage.deploy(stage.request("slow"))
    _attributes(stage, "sleep=62")
    with pytest.raises(ModelFailed, match="PENSTOCK-D017"):
        stage.target.invoke("slow", b"{}")


def test_an_account_that_is_throttled_for_good(stage: Stage) -> None:
    request = stage.request("busy")
    _answers(stage, "sagemaker.CreateModel", "ThrottlingException", "Rate exceeded")
    with pytest.raises(Unavailable, match="PENSTOCK-D019"):
        stage.deploy(request)
    assert [one.kind for one in discover("busy", stage.aws).found if one.kind is Kind.ARCHIVE], "it can be resumed"
