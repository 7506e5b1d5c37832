"""Routes of the web UI: its index at the root, its files under /static-files/ as MLflow's pages expect them."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from penstock.ground.errors import NotFound
from penstock.server.context import Context
from penstock.server.routes import Route, Work
from penstock.server.ui import INDEX, Page, content, pages
from penstock.serving.http.types import Request, Response

_LASTING = "public, max-age=31536000, immutable"
_TEXT = [("content-type", "text/plain; charset=utf-8")]
_NO_UI = (
    b"Penstock's tracking server. The API is under /api/2.0/mlflow.\n"
    b"No web UI is served: start with --ui mlflow (where MLflow is installed) or --ui FOLDER.\n"
)


async def home(context: Context, request: Request, pool: Executor) -> Response:
    """The UI's index page, or a line of text where no UI is served."""
    if context.options.ui_folder is None:
        return Response(200, _NO_UI, list(_TEXT))
    return await static(context, request, pool, path=INDEX)


async def static(context: Context, request: Request, pool: Executor, *, path: str) -> Response:
    """One file of the UI. Raises NotFound."""
    folder = context.options.ui_folder
    page = pages(folder).get(path) if folder is not None else None
    if page is None:
        raise NotFound(f"The UI has no file {path!r:.200}.", fix="Load the page again.")
    cache = ("cache-control", _LASTING if page.is_lasting else "no-cache")
    headers = [("etag", page.etag), cache, ("vary", "accept-encoding")]
    if page.etag in (request.headers.get("if-none-match") or ""):
        return Response(304, b"", headers)
    return await asyncio.get_running_loop().run_in_executor(pool, _sent, page, headers, _accepts_gzip(request))


def _sent(page: Page, headers: list[tuple[str, str]], accepts_gzip: bool) -> Response:
    body, is_compressed = content(page, accepts_gzip=accepts_gzip)
    encoding = [("content-encoding", "gzip")] if is_compressed else []
    return Response(200, body, [*headers, ("content-type", page.media_type), *encoding])


def _accepts_gzip(request: Request) -> bool:
    return "gzip" in (request.headers.get("accept-encoding") or "")


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/", handler=home, work=Work.STREAM, bare=True),
    Route(
        method="GET",
        path="/static-files/{path}",
        handler=static,
        work=Work.STREAM,
        bare=True,
    ),
)
