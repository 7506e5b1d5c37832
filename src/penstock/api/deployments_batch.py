"""Batch: a file, a folder or an S3 prefix through a model as a transform job; results come back, traces go."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from penstock.api.deployments_model import ModelSource, open_model
from penstock.api.deployments_package import Packed, pack
from penstock.api.deployments_target import SAGEMAKER, aws_target
from penstock.deploy.apply import carry_out
from penstock.deploy.batch import BatchOptions, job_body, without_header
from penstock.deploy.bucket import ArchiveKind, split_url
from penstock.deploy.discover import tags_of
from penstock.deploy.kinds import Making
from penstock.deploy.ledger import Event
from penstock.deploy.options import DeployOptions, build_request
from penstock.deploy.removal import remove_all
from penstock.deploy.request import DeployRequest
from penstock.deploy.resources import DEPLOYMENT_TAG, Kind, Resource, bucket_name, job_name
from penstock.deploy.steps import step
from penstock.deploy.targets.sagemaker import SageMakerTarget
from penstock.deploy.transform import JobStatus, explain_job, job_status, list_objects, wait_job
from penstock.deploy.translate import aws_errors
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import Conflict, InvalidInput, NotFound, PenstockError, Unauthenticated
from penstock.ground.files import ensure_directory, sha256_of
from penstock.ground.names import short_id
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuiltImage

_MODEL_KINDS = {Kind.ROLE, Kind.BUCKET, Kind.REPOSITORY, Kind.IMAGE, Kind.ARCHIVE, Kind.MODEL}
_OWNS_TAG = "penstock:batch"


class BatchReport(Struct, frozen=True, kw_only=True):
    """A job and where its results are: files here, or the job's ``output_uri``. ``removed``: its traces are gone."""

    job: JobStatus
    outputs: tuple[str, ...] = ()
    removed: bool = False


class _Ready(Struct, frozen=True, kw_only=True):
    """A SageMaker model to transform with, its columns, and the bucket that its role reaches."""

    making: Making
    model: str
    columns: list[str]
    bucket: str
    owns: bool = False


class _Batch(Struct, frozen=True, kw_only=True):
    """A job under way: whose it is, what it was made for, and whether all of that is its own."""

    target: SageMakerTarget
    making: Making
    job: str
    owns: bool


def batch(
    model: str | Path | ModelSource | None = None,
    *,
    source: str | Path,
    output: str | Path | None = None,
    endpoint: str | None = None,
    name: str | None = None,
    options: BatchOptions | None = None,
    deployment: DeployOptions | None = None,
    image: BuiltImage | str | None = None,
    wait: bool = True,
    timeout_s: float = 3600.0,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> BatchReport:
    """Predictions for all of ``source``: a file, a folder or an ``s3://`` prefix.

    The model is ``model``, built and pushed as for a deploy, or the one that ``endpoint`` serves; ``name`` is what a
    job's own resources are called. ``output`` is a file, a folder or an ``s3://`` prefix; each input has one output.
    With ``wait`` the results are fetched and all that was made is removed; else ``finish_batch`` does that later.
    Raises DeploymentFailed with the job's reason and log, InvalidInput for what SageMaker would refuse.
    """
    known, how = settings or load_settings(), options or BatchOptions()
    if (model is None) == (endpoint is None):
        raise InvalidInput("A batch needs one model.", fix="Give either a model or an endpoint that serves one.")
    if wait and output is None:
        raise InvalidInput("There is no place for the results.", fix="Give an output: a file, a folder or s3://...")
    target = aws_target(to, known)
    deployed = endpoint or name or f"batch-{short_id()}"
    reach = tuple(str(place).rpartition("/")[0] for place in (source, output) if str(place or "").startswith("s3://"))
    with target.ledger.locked(deployed), _taken_back(target, deployed, owns=endpoint is None, progress=progress):
        if model is None:
            ready = _of_endpoint(target, deployed, progress)
        else:
            how_built = deployment or DeployOptions()
            request, packed, columns = _request(deployed, open_model(model), how_built, image, reach, known, progress)
            ready = _of_model(target, request, packed, columns, progress)
        started = _begin(target, ready, source, output, how)
    if not wait:
        return BatchReport(job=job_status(target.aws, started.job))
    return _finish(started, output, timeout_s)


def finish_batch(
    job: str,
    *,
    output: str | Path | None = None,
    timeout_s: float = 3600.0,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> BatchReport:
    """Waits for a job that was begun before, fetches its results and removes its traces. Raises NotFound."""
    target = aws_target(to, settings or load_settings())
    found = job_status(target.aws, job)
    tags = tags_of(target.aws, found.arn)
    if DEPLOYMENT_TAG not in tags:
        raise NotFound(f"The job {job!r} is none of ours.", fix="Give the name that `penstock batch` printed.")
    making = Making(aws=target.aws, deployment=tags[DEPLOYMENT_TAG], progress=progress)
    started = _Batch(target=target, making=making, job=job, owns=tags.get(_OWNS_TAG) == "true")
    return _finish(started, output, timeout_s)


@contextmanager
def _taken_back(target: SageMakerTarget, name: str, *, owns: bool, progress: Progress) -> Iterator[None]:
    """Takes back what was made in the block when it fails for good; what may pass is left for ``penstock delete``."""
    try:
        yield
    except PenstockError as error:
        if owns and not error.retryable and not isinstance(error, Unauthenticated | Conflict):
            making = Making(aws=target.aws, deployment=name, progress=progress)
            remove_all(target.ledger.resources(name), making, target.ledger)
        raise


def _of_endpoint(target: SageMakerTarget, name: str, progress: Progress) -> _Ready:
    """The model that a live endpoint serves with most of its weight."""
    found = target.status(name)
    best = max(found.variants, key=lambda one: one.weight, default=None)
    if best is None or not best.model_name:
        raise NotFound(f"The endpoint {name!r} serves no model.", fix=f"See `penstock status {name}`.")
    columns = _columns(open_model(found.model_uri)) if found.model_uri else []
    tags = {DEPLOYMENT_TAG: name, _OWNS_TAG: "false"}
    making = Making(aws=target.aws, deployment=name, tags=tags, progress=progress)
    bucket = split_url(best.model_data)[0] or bucket_name(target.aws.region, target.aws.account)
    return _Ready(making=making, model=best.model_name, columns=columns, bucket=bucket)


def _request(
    name: str,
    model: ModelSource,
    options: DeployOptions,
    image: BuiltImage | str | None,
    reach: tuple[str, ...],
    settings: Settings,
    progress: Progress,
) -> tuple[DeployRequest, Packed, list[str]]:
    packed = pack(model, options=options, image=image, settings=settings, progress=progress)
    request = build_request(name, packed.package, options, now_ms=SYSTEM_CLOCK.now_ms())
    return replace(request, reach=reach), packed, _columns(model)


def _of_model(
    target: SageMakerTarget, request: DeployRequest, packed: Packed, columns: list[str], progress: Progress
) -> _Ready:
    """A SageMaker model made for this job: the steps of a deploy's plan up to its model, and no further."""
    plan = target.plan(request)
    if plan.previous_config is not None:
        fix = f"Use --endpoint {request.name}, or another --name for a batch of its own."
        raise Conflict(f"{request.name!r} is a live endpoint.", fix=fix)
    making = Making(
        aws=target.aws, deployment=request.name, tags={**plan.tags, _OWNS_TAG: "true"}, materials=packed.materials,
        fresh_role=plan.creates(Kind.ROLE), progress=progress,
    )  # fmt: skip
    for item in plan.steps:
        if item.resource.kind in _MODEL_KINDS:
            carry_out(item, making, target.ledger)
    made = next(item.resource.name for item in plan.steps if item.resource.kind is Kind.MODEL)
    bucket = request.bucket or bucket_name(target.aws.region, target.aws.account)
    return _Ready(making=making, model=made, columns=columns, bucket=bucket, owns=True)


def _columns(model: ModelSource) -> list[str]:
    """The names of the model's columns; none where its input has no names."""
    inputs = model.folder.signature.inputs if model.folder.signature else None
    return [str(name) for name in inputs.names] if inputs and inputs.has_names else []


def _begin(
    target: SageMakerTarget, ready: _Ready, source: str | Path, output: str | Path | None, options: BatchOptions
) -> _Batch:
    """Uploads the input if it is here, and makes the job; the ledger knows of each before it is there."""
    making, job = ready.making, job_name(ready.making.deployment, short_id(12))
    started = _Batch(target=target, making=making, job=job, owns=ready.owns)
    place = f"s3://{ready.bucket}/{making.deployment}/{job}"
    local = not str(source).startswith("s3://")
    begins = f"{place}/input/{_first_name(Path(source))}" if local else str(source)
    ends = str(output) if str(output or "").startswith("s3://") else f"{place}/output"
    body = job_body(options, model=ready.model, source=begins, target=ends)
    if local:
        body["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] = f"{place}/input/"
        _upload(started, Path(source), f"{place}/input", ready.columns)
    carry_out(step(Kind.JOB, job, False, **body), making, target.ledger)
    return started


def _first_name(source: Path) -> str:
    """The name that tells what kind of input it is."""
    if not source.exists():
        raise InvalidInput(f"There is no file or folder {source}.", fix="Correct --input.")
    files = _files(source)
    if not files:
        raise InvalidInput(f"There is no file in {source}.", fix="Correct --input.")
    return files[0].name


def _files(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]


def _upload(started: _Batch, source: Path, place: str, columns: list[str]) -> None:
    making, ledger = started.making, started.target.ledger
    with making.progress.phase("Upload the input") as phase, _without_headers(_files(source), columns) as files:
        for original, path in files.items():
            name = original.relative_to(source).as_posix() if source.is_dir() else original.name
            phase.detail(name)
            digest = sha256_of(path)
            materials = replace(making.materials, archives={digest: path})
            resource = Resource(Kind.ARCHIVE, f"{place}/{name}")
            ledger.record(making.deployment, Event.MAKING, resource)
            ArchiveKind().make(replace(making, materials=materials), resource.name, {"sha256": digest})
            ledger.record(making.deployment, Event.MADE, resource)


@contextmanager
def _without_headers(files: list[Path], columns: list[str]) -> Iterator[dict[Path, Path]]:
    """The files to send for those given: CSV files that begin with the model's column names go without them."""
    with tempfile.TemporaryDirectory(prefix="penstock-batch-") as scratch:
        sent = {path: path for path in files}
        for number, path in enumerate(files):
            if path.suffix.lower() == ".csv":
                content = path.read_bytes()
                stripped = without_header(content, columns)
                if stripped is not content:
                    sent[path] = Path(scratch) / str(number)
                    sent[path].write_bytes(stripped)
        yield sent


def _finish(started: _Batch, output: str | Path | None, timeout_s: float) -> BatchReport:
    """Waits, fetches, and removes what was made for the job; a job that failed leaves no traces either."""
    found = wait_job(started.making, started.job, timeout_s=timeout_s)
    error = None if found.status == "Completed" else explain_job(started.target.aws, found)
    outputs: tuple[str, ...] = ()
    if error is None and output is not None:
        outputs = _fetch(started, found, output)
    elif error is None:
        return BatchReport(job=found)  # The results wait where they are.
    _remove(started, found, output)
    if error is not None:
        raise error
    return BatchReport(job=found, outputs=outputs, removed=True)


def _fetch(started: _Batch, found: JobStatus, output: str | Path) -> tuple[str, ...]:
    """Downloads every output object: into the file that ``output`` names if there is one, else into the folder."""
    urls = [url for url in list_objects(started.target.aws, found.output_uri) if url.endswith(".out")]
    if str(output).startswith("s3://"):
        return tuple(urls)
    place, client = Path(output), started.target.aws.client("s3")
    as_file = len(urls) == 1 and bool(place.suffix) and not place.is_dir()
    paths = []
    with started.making.progress.phase("Fetch the results"):
        for url in urls:
            path = place if as_file else place / url.removeprefix(found.output_uri).lstrip("/")
            ensure_directory(path.parent)
            bucket, key = split_url(url)
            with aws_errors("GetObject"):
                client.download_file(bucket, key, str(path))
            paths.append(str(path))
    return tuple(paths)


def _remove(started: _Batch, found: JobStatus, output: str | Path | None) -> None:
    """Removes the job's own objects; with a model of its own, everything that was made for it."""
    target, name = started.target, started.making.deployment
    target.ledger.record(name, Event.GONE, Resource(Kind.JOB, started.job))
    if started.owns:
        target.delete(name, force=True, progress=started.making.progress)
        return
    here = f"/{name}/{started.job}/"
    theirs = output is not None and str(output).startswith("s3://")
    places = [found.input_uri, *([] if theirs else [found.output_uri + "/"])]
    urls = [url for place in places if here in place for url in list_objects(target.aws, place)]
    remove_all((Resource(Kind.ARCHIVE, url) for url in urls), started.making, target.ledger)
