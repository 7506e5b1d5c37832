"""Serving a model from here: the program that images start, on a model named by any URI."""

from __future__ import annotations

from penstock.api.resolve import resolve_model
from penstock.serving.options import serve_options
from penstock.serving.program import serve


def serve_model(
    model_uri: str,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    workers: int = 1,
    options: dict[str, str | None] | None = None,
) -> int:
    """Serves the model until SIGTERM or Ctrl-C, then drains; gives the exit code.

    ``options`` are further options of ServeOptions by name, as texts. ``port`` None: $PORT or 8080; 0: any free one.
    Raises NotFound, InvalidInput, ModelFailed.
    """
    folder = resolve_model(model_uri)
    flags = {
        **(options or {}),
        "model": str(folder),
        "host": host,
        "port": None if port is None else str(port),
        "workers": str(workers),
    }
    return serve(serve_options(flags))
