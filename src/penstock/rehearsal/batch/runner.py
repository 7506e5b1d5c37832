"""Works transform jobs off: a fleet of the job's own, each input object through it, one output object for each."""

from __future__ import annotations

import asyncio
import gzip
import logging
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from penstock.ground.clock import Clock
from penstock.ground.errors import InvalidInput, PenstockError
from penstock.rehearsal.batch.job import KIND, LOG_GROUP, TransformJob, ended
from penstock.rehearsal.batch.manifest import read_manifest, write_manifest
from penstock.rehearsal.batch.processing import answers_of, filtered, joined
from penstock.rehearsal.batch.records import assembled, batches, payload, split_records
from penstock.rehearsal.fleet.fleet import Fleet
from penstock.rehearsal.fleet.instance import Instance
from penstock.rehearsal.fleet.launcher import Launcher, LaunchFailed
from penstock.rehearsal.journal import Journal
from penstock.rehearsal.s3 import Buckets, split_uri
from penstock.rehearsal.traffic.upstream import UpstreamFailed

LOG = logging.getLogger("penstock.rehearsal")
_DEFAULT_PAYLOAD_MB = 6


class JobFailed(Exception):
    """The job cannot go on; the message is its FailureReason."""


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a job sends: the request's wish, else the container's own, else the defaults."""

    concurrency: int
    strategy: str
    max_bytes: int


class BatchRunner:
    """Runs the transform jobs of the journal; it lives on the event loop."""

    def __init__(self, *, journal: Journal, launcher: Launcher, buckets: Buckets, clock: Clock) -> None:
        self._journal = journal
        self._launcher = launcher
        self._buckets = buckets
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begins again every job that an earlier plane had not finished."""
        self._loop = asyncio.get_running_loop()
        for job in self._journal.all(KIND, TransformJob):
            if job.status in ("InProgress", "Stopping"):
                self._wake((job.region, job.name))

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def wake(self, region: str, name: str) -> None:
        """Says, from any thread, that the job is new or is to stop."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._wake, (region, name))

    def _wake(self, key: tuple[str, str]) -> None:
        running = self._tasks.get(key)
        if running is not None:
            running.cancel("stopped")
            return
        task = asyncio.get_running_loop().create_task(self._work(key))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _work(self, key: tuple[str, str]) -> None:
        job = self._journal.find(KIND, *key, TransformJob)
        if job is None:
            return
        status, reason = "Completed", None
        try:
            if job.status == "InProgress":
                await self._run(replace(job, started_ms=self._clock.now_ms()))
        except (JobFailed, LaunchFailed, PenstockError) as error:
            status, reason = "Failed", str(error)
        except asyncio.CancelledError as error:
            if error.args != ("stopped",):
                raise  # the plane ends; the next one begins the job again
        except Exception as error:  # a defect must not leave the job in progress for ever
            LOG.exception("transform job %s: the plane failed", job.name)
            status, reason = "Failed", f"InternalServerError: {error}"
        current = self._journal.find(KIND, *key, TransformJob) or job
        if current.status == "Stopping":
            status, reason = "Stopped", None
        self._journal.put(KIND, ended(current, status, now_ms=self._clock.now_ms(), reason=reason))

    async def _run(self, job: TransformJob) -> None:
        self._journal.put(KIND, job)
        fleet = Fleet(_batch_plan(job), self._launcher, region=job.region, endpoint=job.name, group=LOG_GROUP)
        await fleet.launch({"transform": job.request["TransformResources"]["InstanceCount"]})
        try:
            instances = fleet.variants["transform"].instances
            manner = await _manner(job.request, instances[0])
            keys = await asyncio.to_thread(self._inputs, job)
            gate = asyncio.Semaphore(manner.concurrency * len(instances))
            for number, (key, output) in enumerate(keys):
                await self._transform(job, manner, instances[number % len(instances)], gate, key, output)
            await asyncio.to_thread(self._capture, job, keys)
        finally:
            await asyncio.shield(fleet.dismantle())

    def _inputs(self, job: TransformJob) -> list[tuple[str, str]]:
        """Each input object's URI with the URI of its output."""
        source = job.request["TransformInput"]["DataSource"]["S3DataSource"]
        if source["S3DataType"] == "ManifestFile":
            return self._listed(job, source["S3Uri"])
        bucket, prefix = split_uri(job.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        keys = [key for key in self._buckets.keys(bucket, prefix) or () if not key.endswith("/")]
        if not keys:
            raise JobFailed(f"No S3 objects found under S3 URL s3://{bucket}/{prefix}.")
        target = job.request["TransformOutput"]["S3OutputPath"].rstrip("/")
        base = prefix if prefix.endswith("/") or not prefix else prefix.rpartition("/")[0]
        return [(f"s3://{bucket}/{key}", f"{target}/{key.removeprefix(base).lstrip('/')}.out") for key in keys]

    def _listed(self, job: TransformJob, uri: str) -> list[tuple[str, str]]:
        """The inputs that a manifest names: a prefix, then names under it, each of which its output is called by."""
        found = self._buckets.find(*split_uri(uri))
        if found is None:
            raise JobFailed(f"Could not find the manifest {uri}.")
        try:
            prefix, names = read_manifest(found.read())
        except InvalidInput as error:
            raise JobFailed(f"The manifest {uri} cannot be read. {error}") from error
        target = job.request["TransformOutput"]["S3OutputPath"].rstrip("/")
        return [(prefix + name, f"{target}/{name.lstrip('/')}.out") for name in names]

    def _capture(self, job: TransformJob, keys: list[tuple[str, str]]) -> None:
        """What DataCaptureConfig asks for: a manifest of the inputs and one of the outputs, by the hour."""
        config = job.request.get("DataCaptureConfig")
        if config is None:
            return
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        file = f"{now:%Y/%m/%d/%H}/{now:%M-%S}-{now.microsecond // 1000:03}-{uuid.uuid4()}.json"
        for kind, uris in zip(("input", "output"), zip(*keys, strict=True), strict=True):
            location = f"{config['DestinationS3Uri'].rstrip('/')}/{kind}/{file}"
            try:
                self._buckets.put(*split_uri(location), write_manifest(uris), content_type="application/json")
            except KeyError as error:
                raise JobFailed(f"The capture bucket {error.args[0]} does not exist.") from error

    async def _transform(
        self, job: TransformJob, manner: Manner, instance: Instance, gate: asyncio.Semaphore, source: str, target: str
    ) -> None:
        """Sends one object and writes its output; nothing is written when any part of it failed."""
        content = await asyncio.to_thread(self._read, job, source)
        given = job.request["TransformInput"]
        split = given.get("SplitType", "None")
        separator = b"\n" if split == "Line" else b""
        grouped = batches(
            split_records(content, split), strategy=manner.strategy, max_bytes=manner.max_bytes, separator=separator
        )
        answers = await asyncio.gather(*(self._send(job, instance, gate, batch) for batch in grouped))
        output = assembled(
            [part for parts in answers for part in parts], job.request["TransformOutput"].get("AssembleWith", "None")
        )
        try:
            await asyncio.to_thread(self._buckets.put, *split_uri(target), output)
        except KeyError as error:
            raise JobFailed(f"The output bucket {error.args[0]} does not exist.") from error

    def _read(self, job: TransformJob, source: str) -> bytes:
        found = self._buckets.find(*split_uri(source))
        if found is None:
            raise JobFailed(f"The object {source} is gone.")
        content = found.read()
        if job.request["TransformInput"].get("CompressionType") == "Gzip":
            try:
                return gzip.decompress(content)
            except (OSError, EOFError) as error:
                raise JobFailed(f"The object {source} is not gzip: {error}.") from error
        return content

    async def _send(
        self, job: TransformJob, instance: Instance, gate: asyncio.Semaphore, batch: list[bytes]
    ) -> list[bytes]:
        """The answers to one batch, filtered and joined as the job asks."""
        processing = job.request.get("DataProcessing", {})
        content_type = job.request["TransformInput"].get("ContentType", "application/octet-stream")
        accept = job.request["TransformOutput"].get("Accept", content_type)
        split = job.request["TransformInput"].get("SplitType", "None")
        sent = [filtered(record, processing.get("InputFilter", "$"), content_type) for record in batch]
        headers = [("content-type", content_type), ("accept", accept)]
        async with gate:
            answer = await _invoke(job, instance, headers, payload(sent, split))
        if processing.get("JoinSource", "None") == "None":
            return [filtered(answer, processing.get("OutputFilter", "$"), accept)]
        pairs = zip(batch, answers_of(answer, len(batch)), strict=True)
        whole = [joined(record, part, content_type) for record, part in pairs]
        return [filtered(part, processing.get("OutputFilter", "$"), content_type) for part in whole]


def _batch_plan(job: TransformJob) -> Any:
    """The job's plan with what a container of a transform job finds in its environment."""
    variant = job.plan.variants[0]
    environment = {
        **variant.container.environment,
        **job.request.get("Environment", {}),
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)),
        "SAGEMAKER_BATCH_STRATEGY": _STRATEGY_NAMES[job.request.get("BatchStrategy", "MultiRecord")],
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(job.request.get("MaxConcurrentTransforms", 1)),
    }
    container = replace(variant.container, environment=environment)
    return replace(job.plan, variants=(replace(variant, container=container),))


_STRATEGY_NAMES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


async def _manner(request: dict[str, Any], instance: Instance) -> Manner:
    """The request's wishes first, then what GET /execution-parameters says, then AWS's defaults."""
    said: dict[str, Any] = {}
    try:
        answer = await instance.upstream.call("GET", "/execution-parameters", [], timeout_s=2.0)
        if answer.status == 200:
            said = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (UpstreamFailed, TimeoutError, msgspec.DecodeError):
        said = {}
    strategies = {long: short for short, long in _STRATEGY_NAMES.items()}
    strategy = said.get("BatchStrategy", "MULTI_RECORD")
    megabytes = request.get("MaxPayloadInMB", said.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB))
    return Manner(
        concurrency=max(1, int(request.get("MaxConcurrentTransforms") or said.get("MaxConcurrentTransforms", 1))),
        strategy=request.get("BatchStrategy", strategies.get(strategy, strategy)),
        max_bytes=int(megabytes) * 2**20,
    )


async def _invoke(job: TransformJob, instance: Instance, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """The container's answer, asked again as often as ModelClientConfig allows. Raises JobFailed."""
    client = job.request.get("ModelClientConfig", {})
    retries, timeout_s = client.get("InvocationsMaxRetries", 3), client.get("InvocationsTimeoutInSeconds", 600)
    said = ""
    for _ in range(retries + 1):
        try:
            answer = await instance.invoke(headers, body, timeout_s=timeout_s)
        except (UpstreamFailed, TimeoutError) as error:
            said = f"The container gave no answer: {error}"
            continue
        if answer.status == 200:
            return answer.body
        said = f"Received error ({answer.status}) from primary: {answer.body.decode('utf-8', 'replace')}"
        if answer.status < 500:
            break
    raise JobFailed(f"ClientError: {said}")
