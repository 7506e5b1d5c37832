"""Transform jobs on the plane: a file goes in, its predictions come out, and nothing of the job stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.stage import Stage
from deploy.wire_check import violations
from penstock.api.deployments_batch import batch, finish_batch
from penstock.deploy.batch import BatchOptions, job_body, read_batch_options, without_header
from penstock.deploy.discover import discover
from penstock.deploy.failure import DeploymentFailed
from penstock.deploy.ledger import Ledger, ledger_path
from penstock.deploy.options import DeployOptions
from penstock.deploy.orphans import find_orphans
from penstock.deploy.repository import get_login
from penstock.deploy.resources import Kind
from penstock.ground.errors import Conflict, InvalidInput
from penstock.ground.settings import Settings, load_settings
from penstock.oci.auth import Basic
from penstock.oci.client import RegistryClient
from penstock.rehearsal.process import plane_environment

UPPER = DeployOptions(env={"LINES": "1"})
ENDS = {"Completed", "Failed", "Stopped"}


@pytest.fixture
def settings(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that lead to the plane, as from anybody's environment."""
    for key, value in plane_environment(stage.plane).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path / "batch-state"))
    return load_settings({})


@pytest.fixture
def image(stage: Stage) -> str:
    """The tiny image's reference in the plane's registry."""
    login = get_login(stage.aws)
    if stage.aws.find("ecr", "describe_repositories", repositoryNames=["batch"]) is None:
        stage.aws.call("ecr", "create_repository", repositoryName="batch")
    with RegistryClient(auth=Basic(login.user, login.password)) as client:
        client.push(stage.image, f"{login.host}/batch:tiny", format="docker")
    return f"{login.host}/batch:tiny"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\n")
    return folder


def test_a_file_goes_through_a_model_of_its_own_and_nothing_stays(
    stage: Stage, settings: Settings, image: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\nc,d\n")
    report = batch(
        model, source=tmp_path / "rows.csv", output=tmp_path / "out.csv", name="own", image=image, deployment=UPPER,
        options=BatchOptions(join=True, accept="text/csv"), settings=settings,
    )  # fmt: skip
    assert (report.job.status, report.job.inputs, report.job.done) == ("Completed", 1, 1)
    assert report.outputs == (str(tmp_path / "out.csv"),)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line[:3] for line in lines] == ["a,b", "c,d"]
    assert "A,B" in lines[0]
    assert report.removed
    assert discover("own", stage.aws).found == ()
    ledger = Ledger(_ledger(stage, settings))
    assert ledger.resources("own") == ()


def _ledger(stage: Stage, settings: Settings) -> Path:
    return ledger_path(settings.state_dir, account=stage.aws.account, region=stage.plane.region, place=stage.aws.place)


def test_a_folder_goes_through_a_live_endpoints_model_and_the_endpoint_stays(
    stage: Stage, settings: Settings, tmp_path: Path
) -> None:
    stage.deploy(stage.request("live", env={"LINES": "1"}))
    uri = stage.target.status("live").arn
    stage.aws.call("sagemaker", "delete_tags", ResourceArn=uri, TagKeys=["penstock:model"])
    (tmp_path / "in").mkdir()
    for name in ("1.jsonl", "2.jsonl"):
        (tmp_path / "in" / name).write_text(f'"{name}"\n')
    report = batch(endpoint="live", source=tmp_path / "in", output=tmp_path / "out", settings=settings)
    assert sorted(Path(path).name for path in report.outputs) == ["1.jsonl.out", "2.jsonl.out"]
    assert "1.JSONL" in (tmp_path / "out" / "1.jsonl.out").read_text()
    assert stage.target.status("live").status == "InService"
    archives = [one.name for one in discover("live", stage.aws).found if one.kind is Kind.ARCHIVE]
    assert len(archives) == 1, "the model's own archive stays, the job's objects are gone"


def test_a_prefix_is_left_where_it_is_and_a_job_is_finished_later(
    stage: Stage, settings: Settings, image: str, model: Path
) -> None:
    stage.aws.call("s3", "create_bucket", Bucket="their-data")
    stage.aws.call("s3", "put_object", Bucket="their-data", Key="in/rows.csv", Body=b"x\n")
    begun = batch(
        model, source="s3://their-data/in/rows.csv", output="s3://their-data/out", name="theirs", image=image,
        deployment=UPPER, wait=False, settings=settings,
    )  # fmt: skip
    assert not begun.removed
    policy = json.dumps(
        stage.aws.call("iam", "get_role_policy", RoleName="penstock-theirs-us-east-1", PolicyName="penstock")
    )
    assert "their-data/out/*" in policy or "their-data/*" in policy
    stray = {one.deployment for one in find_orphans(stage.aws, Ledger(_ledger(stage, settings)))}
    status = stage.aws.call("sagemaker", "describe_transform_job", TransformJobName=begun.job.job)["TransformJobStatus"]
    done = finish_batch(begun.job.job, output="s3://their-data/out", settings=settings)
    assert done.outputs == ("s3://their-data/out/rows.csv.out",)
    assert done.removed
    assert "theirs" not in stray or status in ENDS
    assert stage.aws.find("s3", "head_object", Bucket="their-data", Key="in/rows.csv") is not None
    assert discover("theirs", stage.aws).found == ()


def test_a_job_whose_model_fails_says_why_and_leaves_nothing(
    stage: Stage, settings: Settings, image: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1\n")
    how = DeployOptions(env={"FAIL": "No module named 'lightgbm'"})
    with pytest.raises(DeploymentFailed) as caught:
        batch(
            model, source=tmp_path / "rows.csv", output=tmp_path, name="broken", image=image, deployment=how,
            settings=settings,
        )  # fmt: skip
    assert caught.value.exit_code == 5
    assert "lightgbm" in str(caught.value)
    assert discover("broken", stage.aws).found == ()


def test_a_job_under_way_is_stopped_by_delete(
    stage: Stage, settings: Settings, image: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1\n")
    how = DeployOptions(env={"SILENT": "1"})
    begun = batch(
        model, source=tmp_path / "rows.csv", name="stopped", image=image, deployment=how, wait=False, settings=settings
    )
    assert begun.job.status == "InProgress"
    assert stage.target.delete("stopped").nothing_left
    found = stage.aws.call("sagemaker", "describe_transform_job", TransformJobName=begun.job.job)
    assert found["TransformJobStatus"] == "Stopped"


@pytest.mark.full
def test_a_refused_job_takes_back_what_was_made(
    stage: Stage, settings: Settings, image: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1\n")
    too_much = BatchOptions(max_concurrent=50, max_payload_mb=6)
    with pytest.raises(InvalidInput, match="100 or less"):
        batch(model, source=tmp_path / "rows.csv", output=tmp_path, name="refused", image=image, options=too_much,
              settings=settings)  # fmt: skip
    assert discover("refused", stage.aws).found == ()
    stage.deploy(stage.request("taken"))
    with pytest.raises(Conflict, match="--endpoint taken"):
        batch(model, source=tmp_path / "rows.csv", output=tmp_path, name="taken", image=image, settings=settings)
    assert stage.target.status("taken").status == "InService"


EVERYTHING = BatchOptions(
    content_type="text/csv", split="Line", strategy="SingleRecord", assemble="Line", compression="Gzip", retries=2,
    max_payload_mb=5, max_concurrent=4, timeout_s=60, input_filter="$[1:]", output_filter="$[0,-1]", join=True,
    env={"A": "1"}, kms_key="arn:aws:kms:us-east-1:123456789012:key/1",
)  # fmt: skip


@pytest.mark.parametrize("options", [BatchOptions(), EVERYTHING], ids=["least", "everything"])
def test_every_setting_becomes_a_request_that_aws_would_read(stage: Stage, options: BatchOptions) -> None:
    body = job_body(options, model="m", source="s3://b/in/rows.csv", target="s3://b/out")
    shape = stage.aws.client("sagemaker").meta.service_model.operation_model("CreateTransformJob").input_shape
    assert violations({"TransformJobName": "x", **body}, shape) == []


def test_the_files_kind_decides_what_is_not_said() -> None:
    csv = job_body(BatchOptions(), model="m", source="s3://b/in/rows.csv.gz", target="s3://b/out")["TransformInput"]
    assert (csv["ContentType"], csv["SplitType"], csv["CompressionType"]) == ("text/csv", "Line", "Gzip")
    whole = job_body(BatchOptions(), model="m", source="s3://b/rows.json", target="s3://b/out")
    assert whole["TransformInput"]["SplitType"] == whole["TransformOutput"]["AssembleWith"] == "None"
    with pytest.raises(InvalidInput, match="--content-type"):
        job_body(BatchOptions(), model="m", source="s3://b/in/", target="s3://b/out")


@pytest.mark.parametrize(
    ("table", "fragment"),
    [({"splt": "Line"}, "split"), ({"split": "line"}, "split"), ({"instance_count": "many"}, "instance_count")],
)
def test_wrong_settings_are_named(table: dict[str, Any], fragment: str) -> None:
    with pytest.raises(InvalidInput, match=fragment):
        read_batch_options(table)


@pytest.mark.parametrize("path", ["[1:]", "$" + "x" * 63])
def test_filters_that_would_be_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="JSONPath"):
        job_body(BatchOptions(input_filter=path), model="m", source="s3://b/a.csv", target="s3://b/out")


def test_a_header_that_names_the_columns_is_left_out_and_another_order_is_refused() -> None:
    columns = ["x", "y"]
    assert without_header(b"x,y\r\n1,2\n", columns) == b"1,2\n"
    assert without_header(b"1,2\n3,4\n", columns) == b"1,2\n3,4\n"
    assert without_header(b"x,y", columns) == b""
    with pytest.raises(InvalidInput, match="in the model's order"):
        without_header(b"y,x\n1,2\n", columns)
