"""The application: guards, finds the route, reads the fields, and sends the work where it belongs."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from penstock.ground.errors import PenstockError
from penstock.server import transfer
from penstock.server.bodies import given_fields
from penstock.server.context import Context, ServerOptions
from penstock.server.errors import JSON, render_error
from penstock.server.fields import read_fields
from penstock.server.guard import Guard
from penstock.server.handlers import (
    about,
    artifacts,
    experiments,
    graphql,
    logged_models,
    metrics,
    model_versions,
    pages,
    parts,
    registered_models,
    runs,
)
from penstock.server.routes import Found, Route, Routes, Work
from penstock.server.writer import Writer
from penstock.serving.http.types import Headers, Limits, Promise, Refused, Request, RequestHead, Response
from penstock.store.batches import RunBatch
from penstock.store.open import Store

TRACKING: tuple[Route, ...] = (
    *experiments.ROUTES,
    *runs.ROUTES,
    *metrics.ROUTES,
    *logged_models.ROUTES,
    *registered_models.ROUTES,
    *model_versions.ROUTES,
    *graphql.ROUTES,
)
ALWAYS: tuple[Route, ...] = (*about.ROUTES, *artifacts.ROUTES, *parts.ROUTES, *transfer.STREAMS, *pages.ROUTES)
READERS = 4
TRANSFERS = 32
_encode = msgspec.json.Encoder().encode


class TrackingApp:
    """MLflow's REST API over a store. Make it on the running event loop; ``close`` ends its threads."""

    def __init__(self, store: Store, options: ServerOptions) -> None:
        self._store = store
        self._options = options
        routes = ALWAYS if options.artifacts_only else TRACKING + ALWAYS
        self._routes = Routes(routes, static_prefix=options.static_prefix)
        self._guard = Guard(options)
        self._plain = self._guard.headers(RequestHead("GET", "/", Headers({})))
        self._done = Response(200, b"{}", [*JSON, *self._plain])
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(store, self._loop)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="penstock-reader")
        self._transfers = ThreadPoolExecutor(TRANSFERS, thread_name_prefix="penstock-transfer")
        self._anyone = Context(store, options)

    def close(self) -> None:
        """Writes what waits, then ends the threads."""
        self._writer.close()
        self._readers.shutdown()
        self._transfers.shutdown()

    def limits(self, head: RequestHead) -> Limits:
        found = self._routes.find(head.method, head.path)
        if found is None:
            return Limits(1 << 20)
        return Limits(found.route.max_body_bytes, stream=found.route.work is Work.STREAM and head.method == "PUT")

    def __call__(self, request: Request) -> Response | Promise | Awaitable[Response]:
        refusal = self._guard.refuse(request)
        if refusal is not None:
            return refusal
        if request.method == "OPTIONS":
            return self._guard.preflight(request)
        found = self._routes.find(request.method, request.path)
        if found is None:
            return self._dress(request, self._unknown(request))
        batch = _batch_of(found, request)
        if batch is not None:
            return self._writer.promise(batch, partial(self._kept, request))
        return self._finished(request, self._start(found, request))

    def _kept(self, request: Request, error: PenstockError | None) -> Response:
        """The answer to a batch, once it is on disk or refused."""
        if error is None and "origin" not in request.headers:
            return self._done
        answer = Response(200, b"{}", list(JSON)) if error is None else render_error(error, request, "")
        return self._dress(request, answer)

    def _start(self, found: Found, request: Request) -> Awaitable[Any]:
        """The work, begun."""
        route = found.route
        given: Mapping[str, Any] = given_fields(route, request) if route.fields else {}
        values = (
            {**found.names, **read_fields(route.fields, given)} if found.names else read_fields(route.fields, given)
        )
        if route.work is Work.BATCH:
            return self._writer.submit(route.handler(**values))
        context = self._context(request)
        if route.work is Work.STREAM:
            outcome: Awaitable[Any] = route.handler(context, request, self._transfers, **values)
            return outcome
        call: Callable[[], Any] = lambda: _encoded(route.handler(context, **values))  # noqa: E731
        if route.work is Work.WRITE:
            return self._writer.submit(call)
        return self._loop.run_in_executor(self._readers, call)

    async def _finished(self, request: Request, outcome: Awaitable[Any]) -> Response:
        try:
            answer = await outcome
        except Exception as error:
            if not hasattr(error, "http_status") and not isinstance(error, Refused):
                raise
            return self._dress(request, render_error(error, request, ""))
        if isinstance(answer, Response):
            return self._dress(request, answer)
        return self._dress(request, Response(200, b"{}" if answer is None else answer, list(JSON)))

    def _dress(self, request: Request, response: Response) -> Response:
        more = self._plain if "origin" not in request.headers else self._guard.headers(request)
        response.headers = [*response.headers, *more]
        return response

    def _unknown(self, request: Request) -> Response:
        known = self._routes.methods(request.path)
        if known:
            error: Exception = Refused(405, f"{request.method} is not offered here. Use {', '.join(known)}.")
            response = render_error(error, request, "")
            response.headers.append(("allow", ", ".join(known)))
            return response
        noun = _known_noun(request.path)
        if noun is not None:
            return render_error(about.not_offered(noun), request, "")
        return render_error(Refused(404, f"No route is at {request.path[:200]}. Check the path."), request, "")

    def _context(self, request: Request) -> Context:
        user_id = _asker(request)
        return self._anyone if user_id is None else Context(self._store, self._options, user_id)


def _batch_of(found: Found, request: Request) -> RunBatch | None:
    """The batch of a body that fits its route's shape exactly."""
    decoder = found.route.decoder
    if decoder is None or request.headers.get("content-type") != "application/json":
        return None
    return decoder.batch(request.body)


def _encoded(answer: Any) -> Any:
    return answer if isinstance(answer, Response) else _encode(answer)


def _asker(request: Request) -> str | None:
    """The user name of HTTP Basic, as told; checking passwords is a proxy's work."""
    scheme, _, rest = (request.headers.get("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[0][:250].replace("\x00", "") or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _known_noun(path: str) -> str | None:
    """The part of MLflow's API that the path belongs to, when it is known and not offered."""
    parts = path.split("/")
    if "api" in parts or "ajax-api" in parts:
        return next((part for part in parts if part in about.NOT_OFFERED), None)
    return "traces" if path.endswith("/v1/traces") else None
