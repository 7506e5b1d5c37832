"""Transform jobs: begun, watched, stopped. A job's record stays with SageMaker for good, and costs nothing."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.deploy.bucket import split_url
from penstock.deploy.diagnose import diagnose
from penstock.deploy.failure import DeploymentFailed
from penstock.deploy.kinds import Making
from penstock.deploy.logs import LogLine, tail_group
from penstock.deploy.resources import tag_list
from penstock.deploy.session import AwsSession
from penstock.ground.errors import AlreadyExists, Conflict, InvalidInput, PenstockError, TimedOut
from penstock.ground.progress import Phase

LOG_GROUP = "/aws/sagemaker/TransformJobs"
BUSY = {"InProgress", "Stopping"}
_FIRST_PAUSE_S, _LAST_PAUSE_S, _GROWTH = 0.25, 10.0, 1.3
_LINES = 50
_SHOWN = 5


class JobStatus(Struct, frozen=True, kw_only=True):
    """A job now: ``done`` of its ``inputs`` objects have an output. ``seconds`` is what an instance worked, and costs.

    ``status`` is SageMaker's: InProgress, Completed, Failed, Stopping or Stopped.
    """

    job: str
    arn: str
    status: str
    model: str
    input_uri: str
    output_uri: str
    instance_type: str
    instance_count: int
    inputs: int = 0
    done: int = 0
    seconds: float = 0.0
    failure_reason: str = ""


class JobKind:
    """Jobs as a kind of resource: to remove one is to stop it."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        try:
            making.aws.call(
                "sagemaker", "create_transform_job", TransformJobName=name, Tags=tag_list(making.tags), **spec
            )
        except (AlreadyExists, Conflict):
            if find_job(making.aws, name) is None:  # Else an earlier answer was lost on its way.
                raise

    def remove(self, making: Making, name: str) -> None:
        """Stops it, if it works, and returns once it has stopped."""
        found = find_job(making.aws, name)
        if found is None or found["TransformJobStatus"] not in BUSY:
            return
        if found["TransformJobStatus"] == "InProgress":
            _stop(making, name)
        wait_job(making, name)

    def exists(self, making: Making, name: str) -> bool:
        found = find_job(making.aws, name)
        return found is not None and found["TransformJobStatus"] in BUSY


def find_job(aws: AwsSession, name: str) -> dict[str, Any] | None:
    """The job as SageMaker describes it; None when there is none."""
    return aws.find("sagemaker", "describe_transform_job", TransformJobName=name)


def job_status(aws: AwsSession, name: str) -> JobStatus:
    """How the job stands. Raises NotFound."""
    return _status(aws, aws.call("sagemaker", "describe_transform_job", TransformJobName=name))


def wait_job(making: Making, name: str, *, timeout_s: float = 3600.0) -> JobStatus:
    """The job once it has ended, however that was. Raises TimedOut while it works."""
    deadline_ms, pause_s = making.clock.now_ms() + int(timeout_s * 1000), _FIRST_PAUSE_S
    with making.progress.phase(f"Transforming with {name}") as phase:
        while True:
            found = job_status(making.aws, name)
            _show(making.aws, found, phase)
            if found.status not in BUSY:
                return found
            if making.clock.now_ms() > deadline_ms:
                fix = f"It goes on; resume with `penstock batch --job {name} --results PLACE`."
                raise TimedOut(f"The job {name!r} is still {found.status} after {timeout_s:.0f} s.", fix=fix)
            making.clock.sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, _LAST_PAUSE_S)


def explain_job(aws: AwsSession, found: JobStatus) -> DeploymentFailed:
    """The error for a job that failed or was stopped, with its log's end and the row of the table that fits."""
    lines = _log(aws, found.job, _LINES)
    reason = found.failure_reason or f"it was {found.status.lower()}"
    known = diagnose(reason, [line.text for line in lines])
    shown = "".join(f"\n    {line.text}" for line in lines[-_SHOWN:])
    log = f"\n  The container's last lines:{shown}\n" if shown else ""
    cause = f" Cause: {known.cause}" if known else ""
    return DeploymentFailed(
        f"The transform job {found.job!r} is {found.status}: {reason}.{log}{cause}",
        fix=known.fix() if known else "Correct the input or the model, then run it again.",
        reason=reason, lines=lines, diagnosis=known,
    )  # fmt: skip


def _stop(making: Making, name: str) -> None:
    try:
        making.aws.call("sagemaker", "stop_transform_job", TransformJobName=name)
    except InvalidInput:
        return  # It ended in the meantime.


def _status(aws: AwsSession, found: dict[str, Any]) -> JobStatus:
    source = found["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    target = found["TransformOutput"]["S3OutputPath"]
    begun, end = found.get("TransformStartTime"), found.get("TransformEndTime")
    return JobStatus(
        job=found["TransformJobName"],
        arn=found["TransformJobArn"],
        status=found["TransformJobStatus"],
        model=found["ModelName"],
        input_uri=source,
        output_uri=target,
        instance_type=found["TransformResources"]["InstanceType"],
        instance_count=found["TransformResources"]["InstanceCount"],
        inputs=len(list_objects(aws, source)),
        done=sum(url.endswith(".out") for url in list_objects(aws, target)),
        seconds=(end - begun).total_seconds() if begun and end else 0.0,
        failure_reason=found.get("FailureReason", ""),
    )


def list_objects(aws: AwsSession, url: str) -> list[str]:
    """The s3:// URLs under a prefix; none when it cannot be listed, which only costs the count."""
    bucket, prefix = split_url(url)
    try:
        found = list(aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix))
    except PenstockError:
        return []
    return [f"s3://{bucket}/{item['Key']}" for item in found if not item["Key"].endswith("/")]


def _show(aws: AwsSession, found: JobStatus, phase: Phase) -> None:
    last = [line.text for line in _log(aws, found.job, 1)]
    phase.detail(" · ".join([found.status, f"{found.done} of {found.inputs} files", *last]))


def _log(aws: AwsSession, job: str, limit: int) -> tuple[LogLine, ...]:
    """The job's last lines; a log that cannot be read hides nothing else."""
    try:
        return tail_group(aws, LOG_GROUP, limit, prefix=f"{job}/")
    except PenstockError as error:
        return (LogLine(0, "penstock", f"(the log cannot be read: {error.message})"),)
