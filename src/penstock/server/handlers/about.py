"""Routes about the server itself, and the ones of MLflow's that are known and not offered."""

from __future__ import annotations

from penstock.ground.errors import NotImplementedHere
from penstock.ground.version import __version__
from penstock.server.context import Context
from penstock.server.handlers.experiments import Answer
from penstock.server.routes import Route, reads
from penstock.serving.http.types import Response

TEXT = [("content-type", "text/plain; charset=utf-8")]
# What MLflow offers beyond tracking and the registry; a client gets 501 for these, which it does not retry.
NOT_OFFERED = (
    "traces",
    "assessments",
    "scorers",
    "gateway",
    "prompt-optimization",
    "datasets",
    "webhooks",
    "workspaces",
    "issues",
    "label-schemas",
    "review-queues",
    "genai",
    "jobs",
    "assistant",
)


def health(_: Context) -> Response:
    return Response(200, b"OK", TEXT)


def version(_: Context) -> Response:
    return Response(200, __version__.encode(), TEXT)


def server_info(context: Context) -> Answer:
    signs = context.options.serve_artifacts and context.options.artifacts_destination.startswith("s3:")
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": signs,
        "multipart_downloads_enabled": signs,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "features_enabled": {},
        "resumable_uploads_enabled": context.options.serve_artifacts and not signs,
        "served_by": "penstock",
    }


def gateway(_: Context) -> Answer:
    """No endpoints, as MLflow answers where no gateway is set up: its pages ask before they show a run table."""
    return {"endpoints": []}


def not_offered(noun: str) -> NotImplementedHere:
    """The error for a part of MLflow's API that is known and not offered."""
    return NotImplementedHere(
        f"Penstock's tracking server does not offer MLflow's '{noun}'.", fix="Use a stock MLflow server for it."
    )


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/health", handler=health, bare=True),
    Route(method="GET", path="/version", handler=version, bare=True),
    reads("3.0/mlflow/server-info", server_info),
    reads("2.0/mlflow/gateway-proxy", gateway),
)
