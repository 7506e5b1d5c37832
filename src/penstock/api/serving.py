"""Serving a model from here: the program that images start, on a model named by any URI."""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.api.models import optimize_model
from penstock.api.resolve import resolve_model
from penstock.serving.options import serve_options
from penstock.serving.program import serve


def serve_model(
    model_uri: str,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    workers: int = 1,
    optimize: bool = False,
    trust: str | None = None,
    options: dict[str, str | None] | None = None,
) -> int:
    """Serves the model until SIGTERM or Ctrl-C, then drains; gives the exit code.

    ``options`` are further options of ServeOptions by name, as texts. ``port`` None: $PORT or 8080; 0: any free one.
    ``optimize`` serves a copy in which the model is compiled, if the compiled form is proven equal. ``trust`` is
    "code" or "data"; None: as PENSTOCK_TRUST says. Raises NotFound, InvalidInput, Forbidden, ModelFailed.
    """
    if trust is not None:
        os.environ["PENSTOCK_TRUST"] = trust  # for whatever loads it: this process, its workers, the compiler
    with ExitStack() as held:
        folder = resolve_model(model_uri)
        if optimize:
            folder = _optimized_copy(folder, Path(held.enter_context(TemporaryDirectory(prefix="penstock-"))))
        return serve(serve_options(_flags(folder, host, port, workers, options)))


def _flags(
    folder: Path, host: str, port: int | None, workers: int, options: dict[str, str | None] | None
) -> dict[str, str | None]:
    return {
        **(options or {}),
        "model": str(folder),
        "host": host,
        "port": None if port is None else str(port),
        "workers": str(workers),
    }


def _optimized_copy(folder: Path, place: Path) -> Path:
    """A compiled copy of the model's folder; why it was not compiled is warned about."""
    copy = place / folder.name
    shutil.copytree(folder, copy)
    verdict = optimize_model(copy)
    if not verdict.accepted:
        warnings.warn(f"The original is served: {verdict.reason}", stacklevel=3)
    return copy
