"""The one port: takes every AWS client's requests and hands each to the service it was meant for."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any
from urllib.parse import unquote

from penstock.ground.clock import Clock
from penstock.ground.errors import PenstockError
from penstock.rehearsal.dispatch import Destination, destination_of, is_loopback_host, is_runtime, runtime_region
from penstock.rehearsal.neighbours import SERVICES
from penstock.rehearsal.refusals import protocol_of, refuse
from penstock.rehearsal.signing.reasons import SignatureRefused, refusal
from penstock.rehearsal.signing.verifier import Verifier
from penstock.rehearsal.traffic.choosing import MAX_BODY_BYTES
from penstock.rehearsal.traffic.errors import endpoint_missing, error_response
from penstock.rehearsal.traffic.invocations import Invocations
from penstock.rehearsal.traffic.router import Router, Routers
from penstock.rehearsal.wire import awsjson
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import AwsError, internal, unknown_operation
from penstock.rehearsal.wire.shapes import validate
from penstock.rehearsal.wsgi import WsgiApp, call_wsgi
from penstock.serving.http.types import ClientDisconnected, Limits, Refused, Request, RequestHead, Response

LOG = logging.getLogger("penstock.rehearsal")
_JSON_BYTES = 8 << 20
_OBJECT_BYTES = 64 << 30
_LAYER_PART = Limits(32 << 20)  # 20 MiB in base64
_INVOCATION = Limits(MAX_BODY_BYTES + 1)
# The registry asks for its own tokens, and the plane's own paths tell nothing of anybody's.
_UNSIGNED = ("registry", "plane")
Handlers = dict[str, Callable[[Call], dict[str, Any]]]


class Gateway:
    """The plane's HTTP application.

    ``json_services`` are our own, by signing name; ``wsgi`` gives the application of "registry" or one of moto's;
    ``before`` is run in a thread before a neighbour of that name answers, to hand it what was gathered for it.
    ``verifier`` checks signatures; without it anybody may ask for anything.
    """

    def __init__(
        self, *, account: str, region: str, clock: Clock, executor: Executor, json_services: dict[str, Handlers],
        wsgi: Callable[[str], WsgiApp], before: dict[str, Callable[[], None]], routers: Routers,
        invocations: Invocations, asynchronous: Callable[[Request, Router], Awaitable[Response]],
        plane: Callable[[Request], Response], verifier: Verifier | None = None,
    ) -> None:  # fmt: skip
        self._account = account
        self._region = region
        self._clock = clock
        self._executor = executor
        self._json_services = json_services
        self._wsgi = wsgi
        self._before = before
        self._routers = routers
        self._invocations = invocations
        self._asynchronous = asynchronous
        self._plane = plane
        self._verifier = verifier

    def limits(self, head: RequestHead) -> Limits:
        """Bodies of operations and invocations are small and whole; objects and layers are streamed."""
        if is_runtime(head):
            return _INVOCATION
        _refuse_foreign(head)
        service = destination_of(head).service
        if service in ("s3", "registry"):
            return Limits(_OBJECT_BYTES, stream=True)
        if service == "ecr":
            return _LAYER_PART
        return Limits(_JSON_BYTES)

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        _refuse_foreign(request)
        if not is_runtime(request):
            return self._handle(request)
        request_id = str(uuid.uuid4())
        try:
            if self._verifier is not None:
                self._verifier.check(request, "sagemaker")
            return self._invoke(request, runtime_region(request), request_id)
        except SignatureRefused as refused:
            return refusal(request, "runtime", refused, request_id)

    async def _handle(self, request: Request) -> Response:
        to = destination_of(request)
        request_id = str(uuid.uuid4())
        if self._verifier is None or to.service in _UNSIGNED:
            return await self._serve(request, to, request_id)
        body = request.stream
        try:
            await self._verify(self._verifier, request, to)
            return await self._serve(request, to, request_id)
        except SignatureRefused as refused:
            return refusal(request, to.service, refused, request_id)
        finally:
            request.stream = body  # by which the server tells whether a body was left unread

    async def _verify(self, verifier: Verifier, request: Request, to: Destination) -> None:
        if to.service == "runtime":
            verifier.check(request, "sagemaker")  # at once: a thread would cost more
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, verifier.check, request, to.service)

    async def _serve(self, request: Request, to: Destination, request_id: str) -> Response:
        if to.service == "runtime":
            answer = self._invoke(request, to.region, request_id)
            return answer if isinstance(answer, Response) else await answer
        if to.service in self._json_services:
            return await self._operate(request, to, request_id)
        if to.service == "plane":
            return self._plane(request)
        if to.service == "registry" or to.service in SERVICES:
            return await self._neighbour(request, to, request_id)
        return _json_error(unknown_operation(f"{to.service} {to.operation}".strip()), request_id)

    def _invoke(self, request: Request, region: str | None, request_id: str) -> Response | Awaitable[Response]:
        """An answer at once, or what will be one."""
        name, _, action = request.path.removeprefix("/endpoints/").partition("/")
        name = unquote(name)
        router = self._routers.find(region, name)
        try:
            if router is None or request.method != "POST":
                raise endpoint_missing(name, self._account)
            if action == "invocations":
                return self._invocations.invoke(router, request, request_id)
            if action == "invocations-response-stream":
                return _caught(self._invocations.stream(router, request, request_id), request_id)
            if action == "async-invocations":
                return _caught(self._asynchronous(request, router), request_id)
            raise unknown_operation(action)
        except AwsError as error:
            return error_response(error, request_id)

    async def _operate(self, request: Request, to: Destination, request_id: str) -> Response:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._answer, request, to, request_id)

    def _answer(self, request: Request, to: Destination, request_id: str) -> Response:
        try:
            handler = self._json_services[to.service].get(to.operation)
            if handler is None:
                raise unknown_operation(to.operation)
            parameters = validate(to.service, to.operation, awsjson.decode(request.body))
            answer = handler(self._call(to, parameters, request_id))
        except AwsError as error:
            return _json_error(error, request_id)
        except PenstockError as error:
            LOG.warning("%s: %s", to.operation, error)
            return _json_error(AwsError("ServiceUnavailable", str(error), status=503), request_id)
        except Exception:
            LOG.exception("request %s: %s failed", request_id, to.operation)
            return _json_error(internal(request_id), request_id)
        return Response(200, awsjson.encode(answer), _json_headers(request_id))

    def _call(self, to: Destination, parameters: dict[str, Any], request_id: str) -> Call:
        return Call(
            service=to.service, operation=to.operation, parameters=parameters, region=to.region or self._region,
            account=self._account, request_id=request_id, now_ms=self._clock.now_ms(),
        )  # fmt: skip

    async def _neighbour(self, request: Request, to: Destination, request_id: str) -> Response:
        loop = asyncio.get_running_loop()
        try:
            app = await loop.run_in_executor(self._executor, self._ready, to.service)
            return await call_wsgi(app, request, executor=self._executor)
        except ClientDisconnected:
            raise
        except (PenstockError, OSError) as error:  # a full disk, most of all: the client may try again
            LOG.warning("%s: %s", to.service, error)
            failed = AwsError("ServiceUnavailable", str(error), status=503)
            return refuse(protocol_of(request, to.service), failed, request_id)

    def _ready(self, service: str) -> WsgiApp:
        app = self._wsgi(service)
        hand_over = self._before.get(service)
        if hand_over is not None:
            hand_over()
        return app


async def _caught(answer: Awaitable[Response], request_id: str) -> Response:
    """The answer, or the error as the runtime tells it."""
    try:
        return await answer
    except AwsError as error:
        return error_response(error, request_id)


def _refuse_foreign(head: RequestHead) -> None:
    """Raises Refused for a Host that is not this machine's, such as a web page's rebound name."""
    if not is_loopback_host(head.headers.get("host")):
        raise Refused(403, "This plane answers to loopback names only.")


def _json_error(error: AwsError, request_id: str) -> Response:
    return Response(error.status, awsjson.encode_error(error), _json_headers(request_id))


def _json_headers(request_id: str) -> list[tuple[str, str]]:
    return [("content-type", awsjson.CONTENT_TYPE), ("x-amzn-requestid", request_id)]
