"""Which plane this is: an id that outlives restarts and ports, and goes when the plane's state is thrown away."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from penstock.ground.files import write_atomically
from penstock.ground.names import short_id
from penstock.rehearsal.wsgi import WsgiApp

HEADER = "x-penstock-place"


def place_of(state_dir: Path) -> str:
    """The id of the plane whose state lies there, made at the first question."""
    path = state_dir / "place"
    if not path.is_file():
        write_atomically(path, short_id(16).encode())
    return path.read_text(encoding="ascii").strip()


def telling_place(app: WsgiApp, place: str) -> WsgiApp:
    """The application with the id in each answer's headers: who asks STS who he is, learns where he is."""

    def told(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, (HEADER, place)], *rest)

        return app(environ, start)

    return told
