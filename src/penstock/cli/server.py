"""``penstock server``: MLflow's flag names for a tracking server."""

from __future__ import annotations

import click

from penstock.api.server import find_ui, run_server
from penstock.cli.command import command
from penstock.cli.terminal import Terminal
from penstock.server.context import ServerOptions


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


@command("server")
@click.option(
    "--backend-store-uri",
    envvar="MLFLOW_BACKEND_STORE_URI",
    default="sqlite:///penstock.db",
    show_default=True,
    help="Where runs and models are kept: sqlite:////path.db or postgresql://...",
)
@click.option(
    "--default-artifact-root",
    envvar="MLFLOW_DEFAULT_ARTIFACT_ROOT",
    help="Where new experiments keep artifacts; by default behind this server.",
)
@click.option(
    "--serve-artifacts/--no-serve-artifacts",
    envvar="MLFLOW_SERVE_ARTIFACTS",
    default=True,
    show_default=True,
    help="Pass artifacts up and down through this server.",
)
@click.option(
    "--artifacts-only", is_flag=True, envvar="MLFLOW_ARTIFACTS_ONLY", help="Serve artifacts and nothing else."
)
@click.option(
    "--artifacts-destination",
    envvar="MLFLOW_ARTIFACTS_DESTINATION",
    default="./mlartifacts",
    show_default=True,
    help="Where artifacts that pass through this server are kept: a folder or s3://bucket/prefix.",
)
@click.option("-h", "--host", envvar="MLFLOW_HOST", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("-p", "--port", envvar="MLFLOW_PORT", default=5000, show_default=True, help="The port; 0 for any.")
@click.option(
    "-w", "--workers", envvar="MLFLOW_WORKERS", default=1, show_default=True, help="Processes that share the port."
)
@click.option("--static-prefix", envvar="MLFLOW_STATIC_PREFIX", default="", help="A prefix of every path.")
@click.option(
    "--allowed-hosts",
    envvar="MLFLOW_SERVER_ALLOWED_HOSTS",
    help="Host headers to accept, with commas; '*' for all. By default localhost and private addresses.",
)
@click.option(
    "--cors-allowed-origins",
    envvar="MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
    help="Origins that may change things, with commas; by default localhost's.",
)
@click.option(
    "--x-frame-options",
    envvar="MLFLOW_SERVER_X_FRAME_OPTIONS",
    default="SAMEORIGIN",
    show_default=True,
    help="SAMEORIGIN, DENY, or NONE to leave the header out.",
)
@click.option(
    "--ui",
    envvar="PENSTOCK_UI",
    default="auto",
    show_default=True,
    help="Web pages to serve: a folder; 'mlflow': the installed MLflow's; 'auto': those if there are any; 'none'.",
)
@click.option(
    "--disable-security-middleware",
    is_flag=True,
    envvar="MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE",
    help="Check neither hosts nor origins. For tests only.",
)
def server(
    terminal: Terminal,
    *,
    backend_store_uri: str,
    allowed_hosts: str | None,
    cors_allowed_origins: str | None,
    disable_security_middleware: bool,
    default_artifact_root: str | None,
    artifacts_destination: str,
    serve_artifacts: bool,
    artifacts_only: bool,
    host: str,
    port: int,
    workers: int,
    static_prefix: str,
    x_frame_options: str,
    ui: str,
) -> None:
    """Run the tracking server and model registry that MLflow's clients speak to."""
    options = ServerOptions(
        store_uri=backend_store_uri,
        default_artifact_root=default_artifact_root,
        artifacts_destination=artifacts_destination,
        serve_artifacts=serve_artifacts,
        artifacts_only=artifacts_only,
        host=host,
        port=port,
        workers=workers,
        static_prefix=static_prefix,
        allowed_hosts=_names(allowed_hosts),
        cors_allowed_origins=_names(cors_allowed_origins),
        security=not disable_security_middleware,
        x_frame_options=x_frame_options,
        ui_folder=find_ui(ui),
    )
    run_server(options, ready=lambda url: terminal.note(f"Listening at {url}. Press Ctrl+C to stop."))
