"""The model server's routes: what every platform asks of a model, on one port."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable

import msgspec

from penstock.ground.errors import ModelFailed, NotFound, Unavailable, UnsupportedMedia
from penstock.ground.version import __version__
from penstock.serving.codecs.answers import answer
from penstock.serving.codecs.csv_table import CsvTable
from penstock.serving.codecs.json_forms import JsonForms
from penstock.serving.codecs.media import Media, accepted, content_type_of, plain_body
from penstock.serving.http.server import render_error
from penstock.serving.http.types import Limits, Refused, Request, RequestHead, Response
from penstock.serving.payload import Payload
from penstock.serving.predictor import Predictor

LOG = logging.getLogger("penstock.serving")
Handler = Callable[[Request], "Response | Awaitable[Response]"]
_OFFERED = (Media.JSON, Media.CSV)


class ModelApp:
    """The application of one model. Until ``predictor`` is set it is alive and not ready."""

    def __init__(self, *, max_body_bytes: int, debug: bool = False) -> None:
        self.predictor: Predictor | None = None
        self._limits = Limits(max_body_bytes)
        self._small = Limits(1 << 16)
        self._debug = debug
        self._routes: dict[str, dict[str, Handler]] = {
            "/ping": {"GET": self.ready},
            "/health": {"GET": self.ready},
            "/version": {"GET": self.version},
            "/invocations": {"POST": self.invoke},
        }

    def ready_with(self, predictor: Predictor) -> None:
        """From here on the model answers."""
        self._json = JsonForms(predictor.inputs)
        self._csv = CsvTable(predictor.inputs)
        self.predictor = predictor

    def limits(self, head: RequestHead) -> Limits:
        return self._limits if "POST" in self._routes.get(head.path, ()) else self._small

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        methods = self._routes.get(request.path)
        if methods is None:
            raise NotFound(f"There is no route {request.path!r}.", fix="POST to /invocations; GET /ping.")
        handler = methods.get(request.method)
        if handler is None:
            if request.method == "HEAD" and "GET" in methods:
                return methods["GET"](request)
            return _method_not_allowed(request, methods)
        return handler(request)

    def ready(self, _: Request) -> Response:
        """200 once the model is loaded: SageMaker's deep health check."""
        if self.predictor is None:
            raise Unavailable("The model is not loaded yet.", fix="Ask again in a moment.")
        return Response(200, b"\n", [("content-type", "application/json")])

    def version(self, _: Request) -> Response:
        return Response(200, __version__.encode(), [("content-type", "text/plain; charset=utf-8")])

    def invoke(self, request: Request) -> Response | Awaitable[Response]:
        """The model's answer to the body, in the caller's dialect."""
        if self.predictor is None:
            raise Unavailable("The model is not loaded yet.", fix="Ask again in a moment.")
        payload = self._payload(request)
        predictions = self.predictor.predict(payload)
        return answer(predictions, payload.dialect, accepted(request.headers, _OFFERED))

    def _payload(self, request: Request) -> Payload:
        content_type = content_type_of(request.headers)
        body = plain_body(request.body, request.headers, max_bytes=self._limits.max_body_bytes)
        if content_type.media in (Media.JSON, Media.NUMPY_SPLIT):
            return self._json.decode(body, content_type)
        if content_type.media is Media.CSV:
            return self._csv.decode(body, content_type)
        raise UnsupportedMedia(f"{content_type.media} is not read here.", fix="Send JSON or CSV.")

    def render_error(self, error: Exception, request: Request | None, request_id: str) -> Response:
        """The JSON answer of an error; a traceback only when debugging."""
        if isinstance(error, ModelFailed):
            LOG.error("request %s: the model failed", request_id, exc_info=error)
        response = render_error(error, request, request_id)
        if isinstance(error, Unavailable):
            response.headers.append(("retry-after", "1"))
        if self._debug and not isinstance(error, Refused) and isinstance(response.body, bytes):
            trace = "".join(traceback.format_exception(error))
            response.body = msgspec.json.encode({**msgspec.json.decode(response.body), "stack_trace": trace})
        return response


def _method_not_allowed(request: Request, methods: dict[str, Handler]) -> Response:
    allowed = ", ".join(sorted(methods))
    refused = Refused(405, f"{request.path} does not take {request.method}. Use {allowed}.")
    response = render_error(refused, request, "")
    response.headers.append(("allow", allowed))
    return response
