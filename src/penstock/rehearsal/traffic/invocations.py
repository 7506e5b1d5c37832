"""InvokeEndpoint and InvokeEndpointWithResponseStream: from the caller's request to a container and back.

Sources: facts 1.2 (60 s, payload limit, headers), 1.3 (header names), 2.6 (errors); botocore's sagemaker-runtime model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from penstock.rehearsal.fleet.house import ModelRefused
from penstock.rehearsal.fleet.serverless import NoConcurrencyLeft
from penstock.rehearsal.logs import component_group, endpoint_group
from penstock.rehearsal.metrics import Metrics
from penstock.rehearsal.traffic import errors
from penstock.rehearsal.traffic.choosing import (
    CLOSED_SESSION,
    NEW_SESSION,
    TARGET_CONTAINER,
    TARGET_MODEL,
    choose_instance,
    choose_route,
    follow_session,
)
from penstock.rehearsal.traffic.router import Route, Router, Target
from penstock.rehearsal.traffic.upstream import Answer, Headers, NotListening, UpstreamFailed
from penstock.rehearsal.wire import eventstream
from penstock.rehearsal.wire.arns import log_stream_arn
from penstock.rehearsal.wire.exceptions import AwsError
from penstock.serving.http.types import Request, Response

INVOCATION_SECONDS = 60.0
STREAM_SECONDS = 8 * 60.0
_PREFIX = "x-amzn-sagemaker-"
_ATTRIBUTES = f"{_PREFIX}custom-attributes"
# What a container sees of a caller's headers; everything SageMaker does not know is taken off.
_FORWARDED = [
    (name, name.encode())
    for name in ("content-type", "accept", _ATTRIBUTES, f"{_PREFIX}inference-id", f"{_PREFIX}session-id",
                 f"{_PREFIX}target-model")
]  # fmt: skip
# What a caller sees of a container's headers.
_RETURNED = ("content-type", _ATTRIBUTES, NEW_SESSION, CLOSED_SESSION)


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One finished invocation, for whoever records it: metrics, data capture, shadows."""

    router: Router
    route: Route
    request: Request
    body: bytes
    answer: Answer
    request_id: str


class Invocations:
    """Invokes endpoints. ``observe`` is told of every answer; it must return at once."""

    def __init__(self, *, account: str, metrics: Metrics, observe: Callable[[Invocation], None]) -> None:
        self._account = account
        self._metrics = metrics
        self._observe = observe

    def invoke(self, router: Router, request: Request, request_id: str) -> Awaitable[Response]:
        """The container's answer with the variant that gave it, or the error. Raises AwsError before it asks.

        Where a plain container has a connection open, the request is on its way when this returns, and the answer
        comes in a future: neither a task nor a coroutine stands between the two sockets.
        """
        started = time.perf_counter()
        route = choose_route(router, request, request_id)
        if route.pool is None:
            target = choose_instance(router, route, request)
            at_once = self._at_once(router, route, target, request, request_id, started)
            if at_once is not None:
                return at_once
        return self._invoke(router, route, request, request_id, started)

    def _at_once(
        self, router: Router, route: Route, target: Target, request: Request, request_id: str, started: float
    ) -> asyncio.Future[Response] | None:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def done(answer: Answer | None, error: Exception | None) -> None:
            target.outstanding -= 1
            try:
                if answer is None:
                    self._record(router, route, 0, started, called)
                    raise self._failed(router, route, target, 0, silence(error))
                response = self._answered(router, route, target, request, request_id, answer, started, called)
            except AwsError as refused:
                response = errors.error_response(refused, request_id)
            except Exception as failure:  # noqa: BLE001 - the server logs it and answers 500
                future.set_exception(failure)
                return
            if not future.done():
                future.set_result(response)

        called = time.perf_counter()
        if not target.start(forwarded(request), request.body, timeout_s=INVOCATION_SECONDS, done=done):
            return None
        target.outstanding += 1
        return future

    async def _invoke(
        self, router: Router, route: Route, request: Request, request_id: str, started: float
    ) -> Response:
        try:
            return await self._ask(router, route, request, request_id, started)
        except AwsError as error:
            return errors.error_response(error, request_id)

    async def _ask(self, router: Router, route: Route, request: Request, request_id: str, started: float) -> Response:
        target = await self._target(router, route, request)
        called = time.perf_counter()
        try:
            answer = await self._call(router, route, target, request)
        except NotListening as error:
            raise errors.not_serving(router.endpoint) from error
        except (UpstreamFailed, TimeoutError) as error:
            self._record(router, route, 0, started, called)
            raise self._failed(router, route, target, 0, silence(error)) from error
        return self._answered(router, route, target, request, request_id, answer, started, called)

    def _answered(
        self, router: Router, route: Route, target: Target, request: Request, request_id: str, answer: Answer,
        started: float, called: float,
    ) -> Response:  # fmt: skip
        """What the caller gets of the container's answer, once it was recorded. Raises AwsError for a bad one."""
        self._record(router, route, answer.status, started, called)
        self._observe(
            Invocation(
                router=router, route=route, request=request, body=request.body, answer=answer, request_id=request_id
            )
        )  # fmt: skip
        if not 200 <= answer.status < 300:
            said = answer.body.decode("utf-8", "replace")
            raise self._failed(router, route, target, answer.status, said, answer.origin)
        if NEW_SESSION in answer.headers or CLOSED_SESSION in answer.headers:
            follow_session(router, target, answer.headers)
        return Response(200, answer.body, returned(answer, route, request_id))

    async def _target(self, router: Router, route: Route, request: Request) -> Target:
        """The instance to ask; a serverless one may have to be started first. Raises AwsError."""
        if route.pool is None:
            return choose_instance(router, route, request)
        started = time.perf_counter()
        try:
            instance, setup_s = await route.pool.acquire(timeout_s=INVOCATION_SECONDS)
        except NoConcurrencyLeft:
            raise errors.throttled(router.endpoint) from None
        except TimeoutError:
            raise errors.model_not_ready(f"The serverless variant {route.plan.name}") from None
        except UpstreamFailed as error:
            self._record(router, route, 0, started, time.perf_counter())
            raise self._failed(router, route, None, 0, str(error)) from error
        if setup_s is not None:
            self._metrics.record(
                router.region, _dimensions(router, route), {"ModelSetupTime": (setup_s * 1e6, "Microseconds")}
            )
        return instance

    async def _call(self, router: Router, route: Route, target: Target, request: Request) -> Answer:
        """The answer of ``target``, or of another instance of its variant when it is gone. Raises UpstreamFailed."""
        headers = forwarded(request)
        hostname = request.headers.get(TARGET_CONTAINER) if route.plan.direct else None
        gone: list[Target] = []
        while True:
            target.outstanding += 1
            try:
                if target.house is not None:
                    return await self._call_model(router, route, target, headers, request)
                return await target.invoke(headers, request.body, timeout_s=INVOCATION_SECONDS, hostname=hostname)
            except NotListening:
                gone.append(target)
                others = [each for each in route.instances if each not in gone]
                if not others:
                    raise
            finally:
                target.outstanding -= 1
            target = others[0]

    async def _call_model(
        self, router: Router, route: Route, target: Target, headers: Headers, request: Request
    ) -> Answer:
        """One model's answer, once the container has it; a refusal to load is the container's answer too."""
        name, house = request.headers.get(TARGET_MODEL) or "", target.house
        assert house is not None
        dimensions = _dimensions(router, route)
        try:
            path, values = await house.enter(name, timeout_s=INVOCATION_SECONDS)
        except TimeoutError:
            raise errors.model_not_ready(f"The model {name}") from None
        except ModelRefused as refused:
            answer = Answer()
            answer.status, answer.body = refused.status, refused.said.encode()
            return answer
        self._metrics.record(router.region, dimensions, values)
        try:
            return await target.invoke(headers, request.body, timeout_s=INVOCATION_SECONDS, path=path)
        finally:
            unloaded = await house.leave(name)
            if unloaded:
                self._metrics.record(router.region, dimensions, unloaded)

    async def stream(self, router: Router, request: Request, request_id: str) -> Response:
        """The container's chunks as an event stream. Raises AwsError before the first of them."""
        started = time.perf_counter()
        route = choose_route(router, request, request_id)
        target = await self._target(router, route, request)
        if target.house is not None:
            raise errors.wrong_request("A multi-model endpoint does not stream its answers.")
        hostname = request.headers.get(TARGET_CONTAINER) if route.plan.direct else None
        headers = forwarded(request)
        accept = request.headers.get(f"{_PREFIX}accept")
        headers = [item for item in headers if item[0] != "accept"] + ([("accept", accept)] if accept else [])
        target.outstanding += 1
        called = time.perf_counter()
        try:
            answer, release = await target.open(headers, request.body, timeout_s=INVOCATION_SECONDS, hostname=hostname)
        except (UpstreamFailed, TimeoutError) as error:
            target.outstanding -= 1
            self._record(router, route, 0, started, called)
            raise self._failed(router, route, target, 0, silence(error)) from error
        assert answer.stream is not None
        self._record(router, route, answer.status, started, called)
        if not 200 <= answer.status < 300:
            said = b"".join([piece async for piece in answer.stream])
            target.outstanding -= 1
            release()
            raise self._failed(router, route, target, answer.status, said.decode("utf-8", "replace"), answer.origin)

        def done() -> None:
            target.outstanding -= 1
            release()

        shown = [(name, value) for name, value in returned(answer, route, request_id) if name != "content-type"]
        content_type = answer.headers.get("content-type", "application/octet-stream")
        shown += [("content-type", eventstream.CONTENT_TYPE), (f"{_PREFIX}content-type", content_type)]
        return Response(200, _frames(answer.stream, done), shown)

    def _record(self, router: Router, route: Route, status: int, started: float, called: float) -> None:
        self._metrics.record_invocation(
            router.region, _dimensions(router, route), status=status,
            model_us=(time.perf_counter() - called) * 1e6, overhead_us=(called - started) * 1e6,
            instances=len(route.instances),
        )  # fmt: skip

    def _failed(
        self, router: Router, route: Route, target: Target | None, status: int, said: str, origin: str = "primary"
    ) -> AwsError:
        group = component_group(route.component) if route.component else endpoint_group(router.endpoint)
        arn = log_stream_arn(
            group, f"{route.plan.name}/{target.id if target else ''}", region=router.region, account=self._account
        )
        return errors.model_error(
            status, said, region=router.region, account=self._account, group=group, stream_arn=arn, origin=origin
        )  # fmt: skip


def _dimensions(router: Router, route: Route) -> tuple[tuple[str, str], ...]:
    """The dimensions of the route's metrics: its inference component, or the endpoint and the variant."""
    return route.scope or (("EndpointName", router.endpoint), ("VariantName", route.plan.name))


def forwarded(request: Request) -> list[tuple[str, str]]:
    """The headers that the container gets."""
    raw = request.headers.raw
    return [(name, raw[key].decode("latin-1")) for name, key in _FORWARDED if key in raw]


def returned(answer: Answer, route: Route, request_id: str) -> list[tuple[str, str]]:
    """The headers that the caller gets."""
    shown = [(name, answer.headers[name]) for name in _RETURNED if name in answer.headers]
    return [*shown, ("x-amzn-invoked-production-variant", route.plan.name), ("x-amzn-requestid", request_id)]


def silence(error: Exception | None) -> str:
    """What SageMaker says of a container that gave no answer."""
    if isinstance(error, TimeoutError):
        return "Your invocation timed out while waiting for a response from container primary."
    return f"The container gave no answer: {error}."


async def _frames(stream: AsyncIterator[bytes], done: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async with asyncio.timeout(STREAM_SECONDS):
            async for piece in stream:
                yield eventstream.payload_part(piece)
    except TimeoutError:
        yield eventstream.exception(
            "ModelStreamError", {"Message": "The model took too long.", "ErrorCode": "ModelInvocationTimeExceeded"}
        )
    except UpstreamFailed as error:
        yield eventstream.exception("ModelStreamError", {"Message": str(error), "ErrorCode": "StreamBroken"})
    finally:
        done()
