"""Failures on the plane: each is diagnosed by what really came back, and a failed create leaves nothing behind."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from msgspec.structs import replace

from deploy.stage import Stage
from penstock.deploy.discover import discover
from penstock.deploy.failure import DeploymentFailed
from penstock.deploy.kinds import Making
from penstock.deploy.repository import get_login
from penstock.deploy.request import ArchiveSource, ImageSource
from penstock.deploy.resources import Kind
from penstock.deploy.wait import wait_in_service
from penstock.ground.errors import Conflict, EndpointFailed, InvalidInput, ModelFailed, NotFound, PenstockError
from penstock.oci.auth import Basic
from penstock.oci.client import RegistryClient
from penstock.oci.types import RuntimeConfig


def _fails(stage: Stage, name: str, kind: type[PenstockError] = PenstockError, **settings: Any) -> PenstockError:
    with pytest.raises(kind) as caught:
        stage.deploy(stage.request(name, **settings))
    assert [one for one in discover(name, stage.aws).found if one.kind is not Kind.LOGS] == []
    assert "removed again" in caught.value.message
    return caught.value


def test_a_server_that_crashes_is_told_with_its_last_words_and_undone(stage: Stage) -> None:
    error = _fails(stage, "crash", DeploymentFailed, env={"FAIL": "the model is broken"})
    assert isinstance(error, DeploymentFailed)
    assert any("the model is broken" in line.text for line in error.lines)
    assert "PENSTOCK-D007" in str(error)
    assert error.exit_code == 5
    assert [one.kind for one in stage.target.ledger.resources("crash")] == [Kind.LOGS]
    assert stage.target.delete("crash").nothing_left


def test_a_failed_create_can_simply_be_tried_again(stage: Stage) -> None:
    _fails(stage, "again", env={"FAIL": "once"})
    assert stage.deploy(stage.request("again")).status == "InService"
    assert [entry.event.value for entry in stage.target.ledger.history("again")] == ["failed", "served"]


def test_an_image_without_serve(stage: Stage) -> None:
    stage.image = stage.image.configured(RuntimeConfig(entrypoint=None, cmd=("true",), env=("PATH=/usr/bin:/bin",)))
    assert "PENSTOCK-D008" in str(_fails(stage, "noserve", EndpointFailed))


def test_an_image_pushed_as_oci(stage: Stage) -> None:
    request = stage.request("oci")
    stage.aws.call("ecr", "create_repository", repositoryName="foreign")
    login = get_login(stage.aws)
    reference = f"{login.host}/foreign:oci"
    with RegistryClient(auth=Basic(login.user, login.password)) as client:
        client.push(stage.image, reference, format="oci")
    package = replace(request.package, image=ImageSource(reference=reference))
    with pytest.raises(InvalidInput, match="PENSTOCK-D006"):
        stage.deploy(replace(request, package=package))
    assert discover("oci", stage.aws).found == ()


def test_an_image_that_is_not_there(stage: Stage) -> None:
    request = stage.request("noimage")
    package = replace(request.package, image=ImageSource(reference=f"{get_login(stage.aws).host}/foreign:nothing"))
    with pytest.raises(PenstockError, match="PENSTOCK-D005"):
        stage.deploy(replace(request, package=package))


def test_model_data_that_is_missing_or_no_archive(stage: Stage) -> None:
    request = stage.request("data")
    stage.aws.call("s3", "create_bucket", Bucket="foreign-data")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("MLmodel", "x")
    stage.aws.call("s3", "put_object", Bucket="foreign-data", Key="zip.tar.gz", Body=buffer.getvalue())
    for key, code in (("none.tar.gz", "D004"), ("zip.tar.gz", "D010")):
        package = replace(request.package, archive=ArchiveSource(url=f"s3://foreign-data/{key}"))
        with pytest.raises(PenstockError, match=f"PENSTOCK-{code}"):
            stage.deploy(replace(request, package=package))
    package = replace(request.package, archive=ArchiveSource(url="s3://no-such-bucket-anywhere/a.tar.gz"))
    with pytest.raises(PenstockError, match="PENSTOCK-D003"):
        stage.deploy(replace(request, package=package))


def test_a_role_that_does_not_trust_sagemaker(stage: Stage) -> None:
    nobody = {"Version": "2012-10-17", "Statement": []}
    stage.aws.call("iam", "create_role", RoleName="shy", AssumeRolePolicyDocument=json.dumps(nobody))
    with pytest.raises(InvalidInput, match=r"sagemaker\.amazonaws\.com"):
        stage.target.plan(stage.request("role", role="shy"))
    with pytest.raises(NotFound, match="no role"):
        stage.target.plan(stage.request("role", role="nobody-knows-it"))
    with pytest.raises(InvalidInput, match="not a role's ARN"):
        stage.target.plan(stage.request("role", role="arn:aws:iam::123456789012:user/ada"))
    request = stage.request("role")
    image = next(iter(stage.target.plan(request).images.values()))
    arn = f"arn:aws:iam::{stage.aws.account}:role/shy"
    body = {"ModelName": "x", "ExecutionRoleArn": arn, "PrimaryContainer": {"Image": image}}
    with pytest.raises(InvalidInput, match="PENSTOCK-D001"):
        stage.aws.call("sagemaker", "create_model", **body)


def test_an_endpoint_in_progress_is_not_touched(stage: Stage) -> None:
    request = stage.request("busy")
    stage.deploy(request, wait=False)
    with pytest.raises(Conflict, match="--wait"):
        stage.target.plan(replace(request, env={"A": "1"}))
    wait_in_service(Making(aws=stage.aws, deployment="busy"), "busy")


def test_a_failing_update_goes_back_and_says_so(stage: Stage) -> None:
    stage.deploy(stage.request("back", env={"GREETING": "old"}))
    with pytest.raises(DeploymentFailed) as caught:
        stage.deploy(stage.request("back", env={"FAIL": "new code is broken"}))
    assert caught.value.rolled_back
    assert caught.value.exit_code == 5
    assert "former config" in caught.value.message
    assert json.loads(stage.target.invoke("back", b"{}").body)["greeting"] == "old"
    configs = [one for one in discover("back", stage.aws).found if one.kind.value == "config"]
    assert len(configs) == 1


def test_an_update_whose_answers_are_wrong_goes_back(stage: Stage) -> None:
    stage.deploy(stage.request("probe", env={"GREETING": "old"}))

    def probe(_aws: object, _name: str) -> None:
        raise EndpointFailed("It answers nonsense.")

    with pytest.raises(EndpointFailed, match="former config serves"):
        stage.deploy(stage.request("probe", env={"GREETING": "new"}), probe=probe)
    assert json.loads(stage.target.invoke("probe", b"{}").body)["greeting"] == "old"


def test_what_the_model_refuses_and_where_it_breaks(stage: Stage) -> None:
    stage.deploy(stage.request("model"))
    client = stage.aws.client("sagemaker-runtime")

    def behave(mode: str) -> None:
        def add(params: dict[str, Any], **_: Any) -> None:
            params["headers"]["X-Amzn-SageMaker-Custom-Attributes"] = mode

        client.meta.events.register_first("before-call.sagemaker-runtime.InvokeEndpoint", add, unique_id="mode")

    behave("fail")
    with pytest.raises(ModelFailed, match="PENSTOCK-D038") as refused:
        stage.target.invoke("model", b"{}")
    assert "bad rows" in refused.value.message
    with pytest.raises(NotFound):
        stage.target.invoke("nobody", b"{}")


def test_a_model_that_crashes_on_a_call_is_told_with_its_log(stage: Stage) -> None:
    stage.deploy(stage.request("fragile"))

    def crash(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["X-Amzn-SageMaker-Custom-Attributes"] = "crash"

    stage.aws.client("sagemaker-runtime").meta.events.register("before-call.sagemaker-runtime.InvokeEndpoint", crash)
    with pytest.raises(ModelFailed) as caught:
        stage.target.invoke("fragile", b"{}")
    assert "PENSTOCK-D0" in str(caught.value)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body


ACCOUNT_TROUBLES = [
    ("ResourceLimitExceeded", "The account-level service limit 'ml.m5.large for endpoint usage' is 0", "D011", 8),
    ("AccessDeniedException", "User: x is not authorized to perform: iam:PassRole on resource: y", "D002", 7),
    ("AccessDeniedException", "User: x is not authorized to perform: sagemaker:CreateModel on z", "D028", 7),
    ("ValidationException", "Value 'ml.t3.large' at 'instanceType' failed to satisfy constraint: enum", "D040", 2),
    ("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than", "D026", 7),
]


@pytest.mark.parametrize(("code", "message", "diagnosis", "exit_code"), ACCOUNT_TROUBLES)
def test_troubles_that_only_an_account_has(
    stage: Stage, code: str, message: str, diagnosis: str, exit_code: int
) -> None:
    """The plane has no quotas or missing rights: its answer is replaced on the way by the one AWS would give."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        body = json.dumps({"__type": code, "message": message}).encode()
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.1"}, _Raw(body))

    name = f"trouble-{diagnosis.lower()}-{exit_code}"
    stage.aws.client("sagemaker").meta.events.register("before-send.sagemaker.CreateModel", answer)
    with pytest.raises(PenstockError, match=f"PENSTOCK-{diagnosis}") as caught:
        stage.deploy(stage.request(name))
    assert caught.value.exit_code == exit_code
    left = [one for one in discover(name, stage.aws).found if one.kind is not Kind.LOGS]
    assert left == [] or exit_code == 7
