"""The smaller contracts: MLflow, Vertex AI, Azure ML, Kubernetes' probes, Prometheus."""

from __future__ import annotations

from typing import Protocol

from penstock.ground.version import __version__
from penstock.serving.contracts.route import Route
from penstock.serving.http.types import Promise, Request, Response
from penstock.serving.metrics import Metrics
from penstock.serving.options import ServeOptions


class Host(Protocol):
    """What these routes need of the application."""

    options: ServeOptions
    metrics: Metrics

    def alive(self, request: Request, parts: dict[str, str]) -> Response: ...

    def ready(self, request: Request, parts: dict[str, str]) -> Response: ...

    def predict(self, request: Request, parts: dict[str, str]) -> Response | Promise: ...


class Platforms:
    """The contract of each platform that asks for little."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def routes(self) -> tuple[Route, ...]:
        host = self._host
        alive = ("/", "/livez", "/health/live")  # GET / is Azure ML's liveness
        ready = ("/health", "/healthz", "/readyz", "/health/ready", host.options.health_route)
        predict = ("/score", host.options.predict_route)
        return (
            *(Route("GET", path, host.alive, counts_as=1) for path in alive),
            *(Route("GET", path, host.ready, counts_as=1) for path in ready if path),
            *(Route("POST", path, host.predict, counts_as=0) for path in predict if path),
            Route("GET", "/version", self.version),
            Route("GET", "/metrics", self.metrics),
        )

    def version(self, _: Request, _parts: dict[str, str]) -> Response:
        return Response(200, __version__.encode(), [("content-type", "text/plain; charset=utf-8")])

    def metrics(self, _: Request, _parts: dict[str, str]) -> Response:
        text = self._host.metrics.text()
        return Response(200, text.encode(), [("content-type", "text/plain; version=0.0.4; charset=utf-8")])
