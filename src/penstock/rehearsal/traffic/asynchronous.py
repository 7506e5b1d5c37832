"""Asynchronous inference: a request accepted with 202, its input read from S3, its answer written there, SNS told.

Sources: facts 1.4 (limits, headers, notification) and 1.8 (metrics). An accepted request is in the journal until its
output or its failure has been written, so a killed plane finishes it at its next start.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.ground.clock import Clock
from penstock.rehearsal.journal import Journal, Recorded
from penstock.rehearsal.metrics import Metrics
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.s3 import Buckets, split_uri
from penstock.rehearsal.traffic.invocations import silence
from penstock.rehearsal.traffic.router import Route, Router, Routers, Target
from penstock.rehearsal.traffic.upstream import UpstreamFailed
from penstock.rehearsal.wire.exceptions import AwsError
from penstock.serving.http.types import Request, Response

LOG = logging.getLogger("penstock.rehearsal")
KIND = "async-request"
_PREFIX = "x-amzn-sagemaker-"
_DEFAULT_CONCURRENCY = 4
_TTL_SECONDS = 6 * 3600
_TIMEOUT_SECONDS = 15 * 60
_MOST_INLINE_BYTES = 128_000
_WAIT_FOR_INSTANCE_S = 0.05
_REPORT_SECONDS = 1.0


class AsyncRequest(Recorded, frozen=True, kw_only=True):
    """An accepted request; ``name`` is its id within the plane."""

    endpoint: str
    inference_id: str
    input_location: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    output_location: str
    failure_location: str
    expires_ms: int
    timeout_s: float


class AsyncInference:
    """Takes asynchronous requests and works them off; it lives on the event loop."""

    def __init__(
        self, *, journal: Journal, buckets: Buckets, neighbours: Neighbours, metrics: Metrics, routers: Routers,
        account: str, clock: Clock,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._buckets = buckets
        self._neighbours = neighbours
        self._metrics = metrics
        self._routers = routers
        self._account = account
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self._turns: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reporting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Takes up the requests that an earlier plane accepted and did not finish."""
        for request in self._journal.all(KIND, AsyncRequest):
            self._begin(request)
        self._reporting = asyncio.get_running_loop().create_task(self._report())

    async def stop(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, request: Request, router: Router) -> Response:
        """202 with where the answer will be. Raises AwsError."""
        config = router.config.get("AsyncInferenceConfig")
        if config is None:
            raise AwsError("ValidationError", f"Endpoint {router.endpoint} is not an asynchronous endpoint.")
        accepted = self._accepted(request, router, config["OutputConfig"])
        await asyncio.to_thread(self._journal.put, KIND, accepted)
        self._begin(accepted)
        headers = [
            ("content-type", "application/json"),
            (f"{_PREFIX}outputlocation", accepted.output_location),
            (f"{_PREFIX}failurelocation", accepted.failure_location),
        ]
        return Response(202, msgspec.json.encode({"InferenceId": accepted.inference_id}), headers)

    def _accepted(self, request: Request, router: Router, output: dict[str, Any]) -> AsyncRequest:
        location = request.headers.get(f"{_PREFIX}inputlocation") or ""
        if not location and not request.body:
            raise AwsError("ValidationError", "Either InputLocation or Body must be given.")
        if len(request.body) > _MOST_INLINE_BYTES:
            raise AwsError("ValidationError", f"An inline body takes at most {_MOST_INLINE_BYTES} bytes.")
        inference_id = request.headers.get(f"{_PREFIX}inference-id") or str(uuid.uuid4())
        name, now_ms = str(uuid.uuid4()), self._clock.now_ms()
        file = request.headers.get(f"{_PREFIX}filename") or name
        extension = request.headers.get(f"{_PREFIX}s3outputpathextension")
        folder = output["S3OutputPath"].rstrip("/") + (f"/{extension.strip('/')}" if extension else "")
        failures = output.get("S3FailurePath", output["S3OutputPath"]).rstrip("/")
        return AsyncRequest(
            name=name, region=router.region, arn="", created_ms=now_ms, endpoint=router.endpoint,
            inference_id=inference_id, input_location=location, body=request.body, headers=tuple(_headers(request)),
            output_location=f"{folder}/{file}.out", failure_location=f"{failures}/{name}-error.out",
            expires_ms=now_ms + 1000 * _number(request, "requestttlseconds", _TTL_SECONDS, low=60, high=21_600),
            timeout_s=_number(request, "invocationtimeoutseconds", _TIMEOUT_SECONDS, low=1, high=3_600),
        )  # fmt: skip

    def _begin(self, request: AsyncRequest) -> None:
        task = asyncio.get_running_loop().create_task(self._work(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, request: AsyncRequest) -> None:
        waiting = self._waiting[request.region, request.endpoint]
        waiting[request.name] = request.created_ms
        try:
            failure = await self._answer(request)
        except Exception as error:  # whatever it was, the caller is told where it looks
            LOG.exception("asynchronous request %s failed", request.name)
            failure = f"The plane failed: {error}"
        finally:
            waiting.pop(request.name, None)
        await asyncio.to_thread(self._finish, request, failure)

    async def _report(self) -> None:
        """Once a second, how much waits for each asynchronous endpoint, and for how long."""
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            for router in self._routers.all():
                if router.config.get("AsyncInferenceConfig"):
                    waiting = self._waiting[router.region, router.endpoint]
                    instances = sum(len(route.instances) for route in router.routes)
                    values = backlog_values(list(waiting.values()), instances, now_ms=self._clock.now_ms())
                    self._metrics.record(router.region, (("EndpointName", router.endpoint),), values)

    async def _answer(self, request: AsyncRequest) -> str | None:
        """Invokes and writes the output; what went wrong, or None."""
        body = await asyncio.to_thread(self._input, request)
        if body is None:
            self._count(request, "RequestDownloadFailures")
            return f"Could not find the input at {request.input_location}."
        chosen = await self._choose(request)
        if chosen is None:
            self._count(request, "ExpiredRequests")
            return "The request expired before an instance was free."
        route, target = chosen
        started = asyncio.get_running_loop().time()
        target.outstanding += 1
        self._waiting[request.region, request.endpoint].pop(request.name, None)
        try:
            answer = await target.invoke(list(request.headers), body, timeout_s=request.timeout_s)
        except (UpstreamFailed, TimeoutError) as error:
            self._count(request, "InvocationFailures")
            return f"Received server error (0) from primary: {silence(error)}"
        finally:
            target.outstanding -= 1
        self._record(request, route, asyncio.get_running_loop().time() - started)
        if not 200 <= answer.status < 300:
            side = "client" if answer.status < 500 else "server"
            said = answer.body.decode("utf-8", "replace")
            self._count(request, "InvocationFailures")
            return f'Received {side} error ({answer.status}) from primary with message "{said}".'
        content_type = answer.headers.get("content-type", "application/octet-stream")
        return await asyncio.to_thread(self._write, request, request.output_location, answer.body, content_type)

    async def _choose(self, request: AsyncRequest) -> tuple[Route, Target] | None:
        """An instance with a turn free, waited for until the request's time is over."""
        async with self._turns[request.region, request.endpoint]:  # the one in front looks, the others wait
            while self._clock.now_ms() < request.expires_ms:
                router = self._routers.find(request.region, request.endpoint)
                route = router.choose() if router else None
                target = route.choose() if route else None
                if route is not None and target is not None and target.outstanding < _most_at_once(router):
                    return route, target
                await asyncio.sleep(_WAIT_FOR_INSTANCE_S)
        return None

    def _input(self, request: AsyncRequest) -> bytes | None:
        if not request.input_location:
            return request.body
        found = self._buckets.find(*split_uri(request.input_location))
        return None if found is None else found.read()

    def _write(self, request: AsyncRequest, location: str, content: bytes, content_type: str) -> str | None:
        try:
            self._buckets.put(*split_uri(location), content, content_type=content_type)
        except KeyError as error:
            self._count(request, "ResponseUploadFailures")
            return f"Could not write the output to {location}: there is no bucket {error.args[0]}."
        return None

    def _finish(self, request: AsyncRequest, failure: str | None) -> None:
        if failure is not None:
            self._write(request, request.failure_location, failure.encode(), "text/plain")
        router = self._routers.find(request.region, request.endpoint)
        output = (router.config if router else {}).get("AsyncInferenceConfig", {}).get("OutputConfig", {})
        topic = output.get("NotificationConfig", {}).get("ErrorTopic" if failure else "SuccessTopic")
        if topic:
            self._notify(topic, request, failure)
        self._journal.remove(KIND, request.region, request.name)

    def _notify(self, topic: str, request: AsyncRequest, failure: str | None) -> None:
        """Tells the SNS topic, as AWS's message of the event InferenceResult."""
        known = self._neighbours.backend("sns", request.region).topics
        if topic not in known:
            self._count(request, "NotificationFailures")
            LOG.warning("there is no topic %s to tell of %s", topic, request.inference_id)
            return
        response: dict[str, Any] = {"outputLocation": request.output_location}
        if failure:
            response = {"failureLocation": request.failure_location}
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        received = datetime.fromtimestamp(request.created_ms / 1000, UTC).isoformat(timespec="milliseconds")
        message = {
            "awsRegion": request.region, "eventTime": now, "receivedTime": received,
            "invocationStatus": "Failed" if failure else "Completed", "failureReason": failure,
            "requestParameters": {"endpointName": request.endpoint, "inputLocation": request.input_location},
            "responseParameters": response, "inferenceId": request.inference_id, "eventVersion": "1.0",
            "eventSource": "aws:sagemaker", "eventName": "InferenceResult",
        }  # fmt: skip
        known[topic].publish(msgspec.json.encode({k: v for k, v in message.items() if v is not None}).decode())

    def _count(self, request: AsyncRequest, metric: str) -> None:
        self._metrics.record(request.region, (("EndpointName", request.endpoint),), {metric: (1.0, "Count")})

    def _record(self, request: AsyncRequest, route: Route, seconds: float) -> None:
        waited_us = (self._clock.now_ms() - request.created_ms) * 1000.0
        values = {
            "InvocationsProcesssed": (1.0, "Count"),  # three s, as AWS publishes it
            "TimeInBacklog": (max(0.0, waited_us - seconds * 1e6), "Microseconds"),
            "TotalProcessingTime": (waited_us, "Microseconds"),
        }
        dimensions = (("EndpointName", request.endpoint), ("VariantName", route.plan.name))
        self._metrics.record(request.region, dimensions, values)


def backlog_values(waiting_since_ms: list[int], instances: int, *, now_ms: int) -> dict[str, tuple[float, str]]:
    """The metrics of what waits, by which asynchronous endpoints are scaled, from none and down to none."""
    size = float(len(waiting_since_ms))
    oldest_s = (now_ms - min(waiting_since_ms)) / 1000 if waiting_since_ms else 0.0
    return {
        "ApproximateBacklogSize": (size, "Count"),
        "ApproximateBacklogSizePerInstance": (size / max(instances, 1), "Count"),
        "ApproximateAgeOfOldestRequest": (oldest_s, "Seconds"),
        "HasBacklogWithoutCapacity": (float(bool(size) and not instances), "None"),
    }


def _most_at_once(router: Router | None) -> int:
    """How many requests an instance is given at once."""
    client = (router.config if router else {}).get("AsyncInferenceConfig", {}).get("ClientConfig", {})
    return int(client.get("MaxConcurrentInvocationsPerInstance", _DEFAULT_CONCURRENCY))


def _headers(request: Request) -> list[tuple[str, str]]:
    named = {
        "content-type": request.headers.get(f"{_PREFIX}content-type"),
        "accept": request.headers.get(f"{_PREFIX}accept"),
        f"{_PREFIX}custom-attributes": request.headers.get(f"{_PREFIX}custom-attributes"),
    }
    return [(name, value) for name, value in named.items() if value is not None]


def _number(request: Request, name: str, default: int, *, low: int, high: int) -> int:
    text = request.headers.get(f"{_PREFIX}{name}")
    if text is None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise AwsError("ValidationError", f"{name} must be a whole number between {low} and {high}.")
    return int(text)
