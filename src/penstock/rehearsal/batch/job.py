"""Transform jobs: CreateTransformJob, DescribeTransformJob, ListTransformJobs, StopTransformJob."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.ground.errors import InvalidInput
from penstock.rehearsal.batch.processing import parse_path
from penstock.rehearsal.fleet.plan import FleetPlan, plan_fleet
from penstock.rehearsal.hosting.listing import list_page
from penstock.rehearsal.hosting.model import get_model
from penstock.rehearsal.hosting.service import Hosting
from penstock.rehearsal.hosting.states import clipped
from penstock.rehearsal.hosting.tags import tag_map
from penstock.rehearsal.journal import Recorded
from penstock.rehearsal.wire.arns import sagemaker_arn
from penstock.rehearsal.wire.awsjson import Call, epoch
from penstock.rehearsal.wire.exceptions import AwsError, invalid, taken

KIND = "transform-job"
LOG_GROUP = "/aws/sagemaker/TransformJobs"
_MOST_MB = 100


class TransformJob(Recorded, frozen=True, kw_only=True):
    """``request`` is what CreateTransformJob was given, ``plan`` what its model said then."""

    request: dict[str, Any]
    plan: FleetPlan
    status: str = "InProgress"
    started_ms: int | None = None
    ended_ms: int | None = None
    failure_reason: str | None = None


def create_transform_job(hosting: Hosting, call: Call) -> dict[str, Any]:
    request = call.parameters
    name = request["TransformJobName"]
    arn = sagemaker_arn(KIND, name, region=call.region, account=call.account)
    _check(request)
    job = TransformJob(
        name=name, region=call.region, arn=arn, created_ms=call.now_ms, tags=tag_map(request.get("Tags", [])),
        request={key: request[key] for key in request if key != "Tags"}, plan=_plan(hosting, call),
    )  # fmt: skip
    if not hosting.journal.add(KIND, job):
        raise taken("transform job", arn)
    hosting.wake_job(call.region, name)
    return {"TransformJobArn": arn}


def describe_transform_job(hosting: Hosting, call: Call) -> dict[str, Any]:
    job = _get(hosting, call)
    return {
        **job.request,
        "TransformJobArn": job.arn,
        "TransformJobStatus": job.status,
        "FailureReason": job.failure_reason,
        "CreationTime": epoch(job.created_ms),
        "TransformStartTime": None if job.started_ms is None else epoch(job.started_ms),
        "TransformEndTime": None if job.ended_ms is None else epoch(job.ended_ms),
    }


def list_transform_jobs(hosting: Hosting, call: Call) -> dict[str, Any]:
    return list_page(
        hosting.journal.all(KIND, TransformJob, region=call.region),
        call.parameters,
        row=_row,
        answer="TransformJobSummaries",
        modified_ms=_modified_ms,
        status=lambda job: str(job.status),
    )


def stop_transform_job(hosting: Hosting, call: Call) -> dict[str, Any]:
    with hosting.journal.transaction():
        job = _get(hosting, call)
        if job.status != "InProgress":
            raise invalid(f'The transform job "{job.arn}" is {job.status} and cannot be stopped.')
        hosting.journal.put(KIND, replace(job, status="Stopping"))
    hosting.wake_job(call.region, job.name)
    return {}


def ended(job: TransformJob, status: str, *, now_ms: int, reason: str | None = None) -> TransformJob:
    return replace(job, status=status, ended_ms=now_ms, failure_reason=clipped(reason) if reason else None)


def _get(hosting: Hosting, call: Call) -> TransformJob:
    name = call.parameters["TransformJobName"]
    job = hosting.journal.find(KIND, call.region, name, TransformJob)
    if job is None:
        arn = sagemaker_arn(KIND, name, region=call.region, account=call.account)
        raise AwsError("ResourceNotFound", f'Could not find requested job with name "{arn}".')
    return job


def _plan(hosting: Hosting, call: Call) -> FleetPlan:
    """The job's instances as one variant of a fleet that nobody else can call."""
    request = call.parameters
    model = get_model(hosting, call, request["ModelName"])
    resources = request["TransformResources"]
    variant = {
        "VariantName": "transform", "ModelName": model.name, "InstanceType": resources["InstanceType"],
        "InitialInstanceCount": resources["InstanceCount"],
    }  # fmt: skip
    config = {"EndpointConfigName": request["TransformJobName"], "ProductionVariants": [variant]}
    return plan_fleet(config, {model.name: model.definition})


def _check(request: dict[str, Any]) -> None:
    if request.get("MaxConcurrentTransforms", 1) * request.get("MaxPayloadInMB", 6) > _MOST_MB:
        raise invalid(f"MaxConcurrentTransforms * MaxPayloadInMB must not be over {_MOST_MB} MB.")
    if request.get("DataCaptureConfig", {}).get("GenerateInferenceId"):
        raise invalid("GenerateInferenceId is not offered by this plane.")
    processing = request.get("DataProcessing", {})
    for name in ("InputFilter", "OutputFilter"):
        try:
            parse_path(processing.get(name, "$"))
        except InvalidInput as error:
            raise invalid(f"{name}: {error}") from error


def _row(job: TransformJob) -> dict[str, Any]:
    row = {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "CreationTime": epoch(job.created_ms),
        "LastModifiedTime": epoch(_modified_ms(job)),
        "TransformJobStatus": job.status,
    }
    if job.ended_ms is not None:
        row["TransformEndTime"] = epoch(job.ended_ms)
    return {**row, "FailureReason": job.failure_reason} if job.failure_reason else row


def _modified_ms(job: TransformJob) -> int:
    return job.ended_ms or job.started_ms or job.created_ms
