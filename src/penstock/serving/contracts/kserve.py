"""KServe's two protocols: v1 ({"instances"} -> {"predictions"}) and v2, the Open Inference Protocol."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import unquote

from penstock.ground.version import __version__
from penstock.serving.codecs.media import ContentType
from penstock.serving.codecs.tensors_v2 import decode_request, encode_response, metadata, payload_of
from penstock.serving.contracts.route import Route
from penstock.serving.http.types import Promise, Request, Response
from penstock.serving.http.wire import json_response
from penstock.serving.payload import Dialect, Payload
from penstock.serving.served_model import Done, ServedModel

VERSION = "1"


class Host(Protocol):
    """What KServe's routes need of the application."""

    default_name: str
    done: Done | None

    def alive(self, request: Request, parts: dict[str, str]) -> Response: ...

    def ready(self, request: Request, parts: dict[str, str]) -> Response: ...

    def find(self, name: str | None) -> ServedModel:
        """The model of that name. Raises NotFound, or Unavailable while it loads."""

    def names(self) -> list[str]: ...


class KServe:
    """Both protocols."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def routes(self) -> tuple[Route, ...]:
        host = self._host
        model = "/v2/models/{model}"
        return (
            Route("GET", "/v1/models", self.list_v1),
            Route("GET", "/v1/models/{model}", self.ready_v1, counts_as=1),
            Route("POST", "/v1/models/{model}:predict", self.predict_v1, counts_as=0),
            Route("GET", "/v2", self.server),
            Route("GET", "/v2/health/live", host.alive, counts_as=1),
            Route("GET", "/v2/health/ready", host.ready, counts_as=1),
            *(
                Route(method, base + path, handler, counts_as=counts_as)
                for base in (model, model + "/versions/{version}")
                for method, path, handler, counts_as in (
                    ("GET", "", self.describe, 2),
                    ("GET", "/ready", self.ready_v2, 1),
                    ("POST", "/infer", self.infer, 0),
                )
            ),
        )

    def list_v1(self, _: Request, _parts: dict[str, str]) -> Response:
        return json_response({"models": self._host.names()})

    def ready_v1(self, _: Request, parts: dict[str, str]) -> Response:
        name = unquote(parts["model"])
        self._host.find(name)
        return json_response({"name": name, "ready": True})

    def predict_v1(self, request: Request, parts: dict[str, str]) -> Response | Promise:
        model = self._host.find(unquote(parts["model"]))
        return model.invoke(request, dialect=Dialect.WRAPPED, done=self._host.done)

    def server(self, _: Request, _parts: dict[str, str]) -> Response:
        return json_response({"name": "penstock", "version": __version__, "extensions": []})

    def describe(self, _: Request, parts: dict[str, str]) -> Response:
        """The model's inputs and outputs, from its signature."""
        name = unquote(parts["model"])
        signature = self._host.find(name).model.signature
        return json_response(
            {
                "name": name,
                "versions": [VERSION],
                "platform": "mlflow",
                "inputs": metadata(signature.inputs if signature else None),
                "outputs": metadata(signature.outputs if signature else None),
            }
        )

    def ready_v2(self, _: Request, parts: dict[str, str]) -> Response:
        name = unquote(parts["model"])
        self._host.find(name)
        return json_response({"name": name, "ready": True})

    def infer(self, request: Request, parts: dict[str, str]) -> Response | Promise:
        """The Open Inference Protocol's one call."""
        name = unquote(parts["model"])
        model = self._host.find(name)
        asked: list[str | None] = [None]

        def decode(body: bytes, _: ContentType) -> Payload:
            found = decode_request(body)
            asked[0] = found.id
            return payload_of(found, model.model.inputs)

        def encode(predictions: Any, _: Payload) -> Response:
            return encode_response(predictions, model=name, version=VERSION, request_id=asked[0])

        return model.invoke(request, decode=decode, encode=encode, done=self._host.done)
