"""``penstock serve``: a model over HTTP, by the program that images start."""

from __future__ import annotations

import sys

import click

from penstock.api.serving import serve_model
from penstock.cli.command import command
from penstock.cli.terminal import Terminal


@command("serve")
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("-p", "--port", type=int, help="The port; by default $PORT or 8080, 0 takes any free one.")
@click.option("-w", "--workers", default=1, show_default=True, help="Processes that answer.")
@click.option("--model-name", help="The name that KServe's routes know it by; by default any.")
@click.option(
    "--batching/--no-batching", default=True, help="Predict for several requests at once where that is exact."
)
@click.option("--optimize", is_flag=True, help="Compile the model first; it is used only if proven equal.")
@click.option(
    "--trust",
    type=click.Choice(["code", "data"]),
    help="Whether the model may bring code: pickles and Python files (code, the default), or data alone.",
)
@click.option("--batch-wait-ms", type=float, help="How long a request may wait for company; by default not at all.")
@click.option("--request-timeout", type=float, help="Seconds until a request is given up with 504 (60).")
@click.option("--log-sample", type=float, help="The share of requests that are logged with their predictions (0 to 1).")
def serve(
    terminal: Terminal,
    model: str,
    host: str,
    port: int | None,
    workers: int,
    batching: bool,
    optimize: bool,
    trust: str | None,
    **options: float | str | None,
) -> None:
    """Serve MODEL over HTTP: a folder, runs:/..., models:/..., or name@alias.

    Answers SageMaker's, MLflow's, KServe's, Vertex AI's and Azure ML's calls on one port until Ctrl-C.
    """
    texts = {name: None if value is None else str(value) for name, value in options.items()}
    texts["batching"] = "on" if batching else "off"
    code = serve_model(model, host=host, port=port, workers=workers, optimize=optimize, trust=trust, options=texts)
    if code:
        terminal.note("The server ended.")
        sys.exit(code)
