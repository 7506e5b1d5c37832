"""The model server's application: every contract's routes over the models that are loaded."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import msgspec

from penstock.ground.errors import AlreadyExists, ModelFailed, NotFound, PenstockError, StorageFailed, Unavailable
from penstock.ground.names import near
from penstock.models.load import LoadedModel, load_model
from penstock.serving.contracts.kserve import KServe
from penstock.serving.contracts.platforms import Platforms
from penstock.serving.contracts.route import Route, Routes
from penstock.serving.contracts.sagemaker import SageMaker
from penstock.serving.engine import EngineLimits
from penstock.serving.http.types import Limits, Promise, Refused, Request, RequestHead, Response
from penstock.serving.http.wire import error_response
from penstock.serving.metrics import Metrics
from penstock.serving.options import ServeOptions
from penstock.serving.request_log import RequestLog
from penstock.serving.served_model import Done, ServedModel

LOG = logging.getLogger("penstock.serving")
_SMALL = Limits(1 << 16)
_OTHER = 2


class ModelApp:
    """Serves the models of one process. Until one is there it is alive and not ready.

    A single model answers to every name unless one was chosen; with ``multi_model`` each answers to its own.
    """

    def __init__(self, options: ServeOptions, metrics: Metrics) -> None:
        self.options = options
        self.metrics = metrics
        self.default_name = options.model_name or "model"
        self._models: dict[str, ServedModel] = {}
        self._only: ServedModel | None = None
        self._loading: set[str] = set()
        self._proving: set[asyncio.Task[None]] = set()
        self._large = Limits(options.max_body_bytes)
        self.done: Done | None = RequestLog(options.log_sample).write if options.log_sample else None
        """Who is told of each prediction: the request log, if there is one."""
        contracts = (SageMaker(self), KServe(self), Platforms(self))
        self._routes = Routes(tuple(route for contract in contracts for route in contract.routes()))

    # -- the HTTP server calls

    def limits(self, head: RequestHead) -> Limits:
        """Bodies are read only where something is posted. Raises NotFound and Refused before a byte of body is kept."""
        return self._large if self._route(head)[0].method == "POST" else _SMALL

    def __call__(self, request: Request) -> Response | Promise | Awaitable[Response]:
        started = time.perf_counter()
        route, parts = request.route or self._route(request)
        result = route.handler(request, parts)
        if isinstance(result, Response):
            self._count(route, started, result)
        elif isinstance(result, Promise):
            result.watch = partial(self._count, route, started)
        return result

    def _route(self, head: RequestHead) -> tuple[Route, dict[str, str]]:
        methods, parts = self._routes.find(head)
        found = head.route = _chosen(methods, head), parts
        return found

    def render_error(self, error: Exception, request: Request | None, request_id: str) -> Response:
        """The JSON answer of an error, with the request's id; a traceback only when debugging."""
        if isinstance(error, ModelFailed):
            LOG.error("request %s: the model failed", request_id, exc_info=error)
        response = error_response(error, request_id=request_id)
        self.metrics.answered(_OTHER if request is None else self._row_of(request), response.status)
        if isinstance(error, Unavailable):
            response.headers.append(("retry-after", "1"))
        if isinstance(error, _MethodRefused):
            response.headers.append(("allow", error.allowed))
        if self.options.debug and not isinstance(error, Refused) and isinstance(response.body, bytes):
            trace = "".join(traceback.format_exception(error))
            response.body = msgspec.json.encode({**msgspec.json.decode(response.body), "stack_trace": trace})
        return response

    # -- the contracts call

    def alive(self, _: Request, _parts: dict[str, str]) -> Response:
        """200 as long as the process answers."""
        return Response(200, b"\n", [("content-type", "application/json")])

    def ready(self, request: Request, parts: dict[str, str]) -> Response:
        """200 once the model is loaded: SageMaker's deep health check."""
        if not self.options.multi_model:
            self.find(None)
        return self.alive(request, parts)

    def predict(self, request: Request, parts: dict[str, str]) -> Response | Promise:
        """The answer of the model that the path names, else of the only one, in the caller's dialect."""
        name = parts.get("model")
        model = self.find(None if name is None else unquote(name))
        return model.invoke(request, done=self.done)

    def find(self, name: str | None) -> ServedModel:
        """The model of that name. Raises NotFound, or Unavailable while the only one loads."""
        if name is None and self._only is not None:
            return self._only
        if not self.options.multi_model and (name is None or not self.options.model_name):
            name = self.default_name
        if name == self.default_name and not self._models and not self.options.multi_model:
            raise Unavailable("The model is not loaded yet.", fix="Ask again in a moment.")
        self.check_loaded(name or "")
        return self._models[name or ""]

    def check_loaded(self, name: str) -> None:
        """Raises NotFound for a model that is not loaded."""
        if name not in self._models:
            known = list(self._models) or [self.default_name]
            raise NotFound(f"There is no model {name!r}.{near(name, known)}", fix="GET /v1/models lists the models.")

    def names(self) -> list[str]:
        return sorted(self._models)

    def loaded(self) -> dict[str, Path]:
        """The folder of every loaded model by its name."""
        return {name: served.model.folder.path for name, served in self._models.items()}

    async def load(self, name: str, path: Path) -> None:
        """Loads one of several models. Raises AlreadyExists, StorageFailed (507) when memory is short."""
        if name in self._models or name in self._loading:
            raise AlreadyExists(f"The model {name!r} is loaded already.", fix="Unload it first.")
        self._loading.add(name)
        try:
            model = await asyncio.get_running_loop().run_in_executor(None, load_model, path)
        except MemoryError:
            raise StorageFailed("There is not enough memory for another model.", fix="Unload one first.") from None
        finally:
            self._loading.discard(name)
        self.serve(model, name)

    def unload(self, name: str) -> None:
        """Forgets a model. Raises NotFound."""
        self.check_loaded(name)
        self._models.pop(name).engine.close()

    # -- the program calls

    def serve(self, model: LoadedModel, name: str | None = None) -> None:
        """From here on the model answers; whether it may be batched is then found out aside."""
        options = self.options
        limits = EngineLimits(
            queue_requests=options.queue_requests,
            batch_rows=options.batch_rows,
            batch_wait_s=options.batch_wait_ms / 1000,
            timeout_s=options.request_timeout_s,
            batching=options.batching,
        )
        served = ServedModel(model, limits=limits, max_body_bytes=options.max_body_bytes, metrics=self.metrics)
        self._models[name or self.default_name] = served
        if not options.multi_model:
            self._only = served
        proving = asyncio.get_running_loop().create_task(self._prove(served))
        self._proving.add(proving)
        proving.add_done_callback(self._proving.discard)

    async def _prove(self, served: ServedModel) -> None:
        refused = await served.engine.prove()
        LOG.info("batching is %s", "on" if refused is None else f"off: {refused}")

    def _row_of(self, head: RequestHead) -> int:
        try:
            return self._route(head)[0].counts_as
        except (PenstockError, Refused):
            return _OTHER

    def _count(self, route: Route, started: float, response: Response) -> None:
        seconds = time.perf_counter() - started if route.counts_as == 0 else None
        self.metrics.answered(route.counts_as, response.status, seconds)


class _MethodRefused(Refused):
    def __init__(self, head: RequestHead, allowed: str) -> None:
        self.allowed = allowed
        super().__init__(405, f"{head.path} does not take {head.method}. Use {allowed}.")


def _chosen(methods: dict[str, Route], head: RequestHead) -> Route:
    """The route for the method; HEAD is GET without its body."""
    route = methods.get("GET" if head.method == "HEAD" else head.method)
    if route is None:
        raise _MethodRefused(head, ", ".join(sorted(methods)))
    return route
