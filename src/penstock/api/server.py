"""The tracking server, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from penstock.ground.errors import InvalidInput
from penstock.server.context import ServerOptions
from penstock.server.serve import serve
from penstock.server.ui import ui_folder


def find_ui(wanted: str) -> Path | None:
    """The folder of the web UI that ``wanted`` names: a path, 'mlflow', 'auto' or 'none'. Raises InvalidInput."""
    return ui_folder(wanted)


def run_server(options: ServerOptions, *, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serves until it is told to stop. ``ready`` is told the URL once the server listens.

    Raises InvalidInput for options that contradict each other or an address that cannot be had.
    """
    if options.artifacts_only and not options.serve_artifacts:
        raise InvalidInput("--artifacts-only needs --serve-artifacts.", fix="Drop one of the two.")
    if options.workers < 1:
        raise InvalidInput(f"{options.workers} workers cannot serve.", fix="Ask for at least one.")
    if options.static_prefix and (not options.static_prefix.startswith("/") or options.static_prefix.endswith("/")):
        raise InvalidInput(
            f"The static prefix {options.static_prefix!r} is malformed.", fix="Begin it with '/' and do not end it so."
        )

    def tell(address: tuple[str, int]) -> None:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        ready(f"http://{host}:{address[1]}{options.static_prefix}")

    serve(options, ready=tell)
