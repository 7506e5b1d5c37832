"""SageMaker hosting: /ping, /invocations, /execution-parameters, and /models for multi-model endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.serving.contracts.route import Route
from penstock.serving.http.types import Promise, Request, Response
from penstock.serving.http.wire import json_response
from penstock.serving.options import ServeOptions

PAGE = 100


class LoadRequest(Struct):
    """The body of POST /models: ``url`` is the folder that the platform unpacked the model into."""

    model_name: str
    url: str


class Host(Protocol):
    """What SageMaker's routes need of the application."""

    options: ServeOptions

    def ready(self, request: Request, parts: dict[str, str]) -> Response: ...

    def predict(self, request: Request, parts: dict[str, str]) -> Response | Promise: ...

    async def load(self, name: str, path: Path) -> None: ...

    def unload(self, name: str) -> None: ...

    def check_loaded(self, name: str) -> None:
        """Raises NotFound for a model that is not loaded."""

    def loaded(self) -> dict[str, Path]:
        """The folder of every loaded model by its name."""


class SageMaker:
    """The contract; several models only where SAGEMAKER_MULTI_MODEL says so."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def routes(self) -> tuple[Route, ...]:
        host = self._host
        single = (
            Route("GET", "/ping", host.ready, counts_as=1),
            Route("POST", "/invocations", host.predict, counts_as=0),
            Route("GET", "/execution-parameters", self.execution_parameters),
        )
        several = (
            Route("GET", "/models", self.list_models),
            Route("POST", "/models", self.load),
            Route("GET", "/models/{model}", self.describe),
            Route("DELETE", "/models/{model}", self.unload),
            Route("POST", "/models/{model}/invoke", host.predict, counts_as=0),
        )
        return (*single, *several) if host.options.multi_model else single

    def execution_parameters(self, _: Request, _parts: dict[str, str]) -> Response:
        """What batch transform should do: as many requests at once as there are workers."""
        options = self._host.options
        return json_response(
            {
                "MaxConcurrentTransforms": options.workers,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": max(1, options.max_body_bytes >> 20),
            }
        )

    def list_models(self, request: Request, _: dict[str, str]) -> Response:
        """One page of the loaded models, by name."""
        query = parse_qs(request.query)
        after = query.get("next_page_token", query.get("nextPageToken", [""]))[0]
        names = sorted(name for name in self._host.loaded() if name > after)
        page = [_described(name, self._host.loaded()[name]) for name in names[:PAGE]]
        more = {"nextPageToken": names[PAGE - 1]} if len(names) > PAGE else {}
        return json_response({"models": page, **more})

    async def load(self, request: Request, _: dict[str, str]) -> Response:
        """Loads a model: 200, 409 when it is loaded, 507 when there is no memory for it."""
        try:
            asked = msgspec.json.decode(request.body, type=LoadRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"The body is no load request: {error}.", fix="Send model_name and url.") from None
        await self._host.load(asked.model_name, Path(asked.url))
        return json_response({"modelName": asked.model_name, "modelUrl": asked.url})

    def describe(self, _: Request, parts: dict[str, str]) -> Response:
        name = unquote(parts["model"])
        self._host.check_loaded(name)
        return json_response(_described(name, self._host.loaded()[name]))

    def unload(self, _: Request, parts: dict[str, str]) -> Response:
        self._host.unload(unquote(parts["model"]))
        return json_response({})


def _described(name: str, path: Path) -> dict[str, str]:
    return {"modelName": name, "modelUrl": str(path)}
