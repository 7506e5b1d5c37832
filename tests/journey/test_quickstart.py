"""The main job, as a newcomer runs it: the story ends well, leaves nothing, and survives being stopped anywhere."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from journey.program import Program
from penstock.store.open import open_store

ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "state")


def test_the_story_told_to_an_ordinary_user(tmp_path: Path) -> None:
    # What the user's own shell says of AWS must not lead the rehearsal elsewhere.
    elsewhere = {"AWS_PROFILE": "production", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-west-1"}
    program = Program(tmp_path / "state", through=ORDINARY_USER, extra=elsewhere)
    report = program.document("quickstart")
    assert report["endpoint"]["status"] == "InService"
    assert report["endpoint"]["response"] == [2.0]
    assert report["endpoint"]["invocations"] == 1
    assert report["endpoint"]["latency_ms"] > 0
    assert report["endpoint"]["runner"]
    assert {check["what"]: check["left"] for check in report["checks"]} == dict.fromkeys(
        ("endpoints", "endpoint configs", "models", "images", "model archives", "processes"), 0
    )
    assert report["image"]["reference"].endswith(report["image"]["digest"])
    assert not program.processes()
    assert not program.planes()
    store = open_store(f"sqlite:///{program.state_dir / 'penstock.db'}")
    run = store.tracking.get_run(report["run"]["run_id"])
    assert {param.key: param.value for param in run.data.params}["loss"] == "log_loss"
    assert len(store.tracking.metric_history(run.info.run_id, "test_loss").items) == 30
    store.close()
    assert any(path.name == "learning_curve.png" for path in (program.state_dir / "artifacts").rglob("*"))


def test_a_kept_endpoint_answers_every_client_and_is_cleaned_up(
    program: Program, peer_python: Callable[[str], Path]
) -> None:
    said = program.run("quickstart", "--keep").stdout
    assert "Application status is: InService" in said
    assert "Received response: [2.0]" in said
    block = said.split("plane\n", 1)[1].split("\n\n", 1)[0]
    exported = dict(line.removeprefix("export ").split("=", 1) for line in block.splitlines() if "=" in line)
    environment = {**program.environment, **{key: value.strip("'") for key, value in exported.items()}}
    try:
        aws = peer_python("aws").with_name("aws")
        _the_aws_cli_lists_describes_and_invokes(aws, said, environment)
        _curl_gets_the_same(said, environment)
        _boto3_gets_the_same(environment)
        _the_aws_cli_deletes(aws, environment)
    finally:
        assert program.document("quickstart", "--clean") == {"removed": True}
    assert not program.processes()
    assert not program.planes()
    assert program.document("quickstart", "--clean") == {"removed": False}


def _shell(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _snippet(said: str, start: str) -> str:
    """The pasted command that begins with ``start``, up to the next blank line."""
    return start + said.split(f"\n{start}", 1)[1].split("\n\n", 1)[0]


def _the_aws_cli_lists_describes_and_invokes(aws: Path, said: str, environment: dict[str, str]) -> None:
    path = {**environment, "PATH": f"{aws.parent}:{environment['PATH']}", "AWS_PAGER": ""}
    listed = json.loads(_shell("aws sagemaker list-endpoints --output json", path))
    assert [each["EndpointName"] for each in listed["Endpoints"]] == ["penstock-quickstart"]
    described = json.loads(
        _shell("aws sagemaker describe-endpoint --endpoint-name penstock-quickstart --output json", path)
    )
    assert described["EndpointStatus"] == "InService"
    assert "[2.0]" in _shell(_snippet(said, "aws sagemaker-runtime invoke-endpoint"), path)


def _curl_gets_the_same(said: str, environment: dict[str, str]) -> None:
    assert _shell(_snippet(said, "curl -s"), environment).strip() == "[2.0]"


def _boto3_gets_the_same(environment: dict[str, str]) -> None:
    client = boto3.client(
        "sagemaker-runtime", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"], aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    rows = {"dataframe_split": {"columns": COLUMNS, "data": [[5.1, 3.5, 1.4, 0.2]]}}
    answer = client.invoke_endpoint(
        EndpointName="penstock-quickstart", Body=json.dumps(rows), ContentType="application/json"
    )
    assert json.loads(answer["Body"].read()) == {"predictions": [0.0]}


COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]


def _the_aws_cli_deletes(aws: Path, environment: dict[str, str]) -> None:
    script = f"""set -e
        {aws} sagemaker delete-endpoint --endpoint-name penstock-quickstart
        {aws} sagemaker wait endpoint-deleted --endpoint-name penstock-quickstart
        {aws} sagemaker list-endpoints --output text"""
    assert not _shell(script, environment).strip()


@pytest.mark.parametrize("phase", ["Track params", "Create endpoint"])
def test_an_interruption_cleans_up(program: Program, phase: str) -> None:
    code, said = program.stopped_at(phase, signal.SIGINT, "quickstart")
    assert code == 130, said
    assert "Traceback" not in said
    assert not program.processes()
    assert not program.planes()


def test_a_killed_quickstart_takes_its_plane_along_and_the_next_one_clears_up(program: Program) -> None:
    program.stopped_at("Create endpoint", signal.SIGKILL, "quickstart")
    _wait_until(lambda: not program.processes())
    assert program.planes()
    assert program.document("quickstart", "--clean") == {"removed": True}
    assert not program.planes()


def test_a_port_in_use_is_named(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = program.document("quickstart", "--port", str(port), code=2)["error"]
    assert str(port) in error["message"]
    assert "in use" in error["message"]
    assert not program.processes()


@pytest.mark.parametrize(("option", "said"), [("ro", "Read-only file system"), ("size=96k", "full")])
def test_a_state_directory_that_cannot_be_written_is_named(tmp_path: Path, option: str, said: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    mount = f'mount -t tmpfs -o {option} none {state} && exec "$@"'
    program = Program(state, through=("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"))
    error = program.document("quickstart", code=8)["error"]
    assert error["code"] == "PENSTOCK-E0510"
    assert said in error["message"]


def test_no_network_is_said_at_once(tmp_path: Path) -> None:
    up = 'ip link set lo up 2>/dev/null; exec "$@"'
    program = Program(
        tmp_path / "state",
        through=("unshare", "--user", "--map-root-user", "--net", "sh", "-c", up, "sh"),
        extra={"PENSTOCK_CACHE_DIR": str(tmp_path / "cache")},
    )
    error = program.document("quickstart", code=9)["error"]
    assert error["code"] == "PENSTOCK-E0600"
    assert error["fix"]


def test_a_base_that_does_not_exist_is_named(tmp_path: Path) -> None:
    program = Program(tmp_path / "state", extra={"PENSTOCK_BASE": "127.0.0.1:1/no/such:base"})
    error = program.document("quickstart", code=9)["error"]
    assert "127.0.0.1:1" in error["message"]
    assert not program.processes()


def _wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Returns once ``condition`` holds; the kernel delivers the plane's end in its own time."""
    deadline = os.times().elapsed + seconds
    while not condition():
        assert os.times().elapsed < deadline, "it never came true"
        os.sched_yield()
