"""A folder of built web pages, such as the one in MLflow's wheel: which files it has and how each is sent."""

from __future__ import annotations

import gzip
import mimetypes
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from penstock.ground.errors import InvalidInput

NONE = "none"
AUTO = "auto"
MLFLOW = "mlflow"
INDEX = "index.html"
_COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg+xml")
_SMALLEST_COMPRESSED = 1024
# What a bundler names after its content never changes: main.c2f5f8d4.js
_NAMED_BY_CONTENT = re.compile(r"\.[0-9a-f]{8,}\.")
_MEDIA = {".js": "text/javascript", ".mjs": "text/javascript", ".cjs": "text/javascript", ".woff2": "font/woff2"}


class Page(Struct, frozen=True):
    """One file of the bundle: its bytes are read and compressed when they are asked for."""

    path: Path
    media_type: str
    etag: str
    is_lasting: bool


def ui_folder(wanted: str) -> Path | None:
    """The folder that ``wanted`` stands for: a path, 'mlflow' for the installed MLflow's, 'auto' for that if any.

    None for 'none', and for 'auto' where no MLflow is installed. Raises InvalidInput when what is wanted is not there.
    """
    if wanted == NONE:
        return None
    if wanted not in (AUTO, MLFLOW):
        return _checked(Path(wanted).expanduser())
    found = _mlflow_folder()
    if found is None and wanted == MLFLOW:
        raise InvalidInput(
            "No MLflow with a web UI is installed beside Penstock.",
            fix="Install mlflow here, or name its folder: --ui .../site-packages/mlflow/server/js/build",
        )
    return found


def _mlflow_folder() -> Path | None:
    """Where the installed MLflow keeps its pages; found without importing it, and absent from mlflow-skinny."""
    spec = find_spec(MLFLOW)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "server" / "js" / "build"
        if (folder / INDEX).is_file():
            return folder
    return None


def _checked(folder: Path) -> Path:
    if not (folder / INDEX).is_file():
        raise InvalidInput(f"{folder} has no {INDEX}.", fix="Name the folder that a UI was built into.")
    return folder.absolute()


@lru_cache(maxsize=4)
def pages(folder: Path) -> dict[str, Page]:
    """Every regular file below ``folder`` by its path there; nothing else can be asked for, whatever the path says."""
    root = folder.resolve()
    return {
        path.relative_to(root).as_posix(): _page(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _page(path: Path) -> Page:
    status = path.stat()
    media_type = _MEDIA.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Page(
        path=path,
        media_type=f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type,
        etag=f'"{status.st_mtime_ns:x}-{status.st_size:x}"',
        is_lasting=_NAMED_BY_CONTENT.search(path.name) is not None,
    )


def content(page: Page, *, accepts_gzip: bool) -> tuple[bytes, bool]:
    """The page's bytes, and whether they are compressed."""
    if accepts_gzip and page.media_type.startswith(_COMPRESSIBLE):
        packed = _compressed(page)
        if packed is not None:
            return packed, True
    return page.path.read_bytes(), False


@lru_cache(maxsize=512)
def _compressed(page: Page) -> bytes | None:
    """The page compressed once for all who ask: MLflow's 4.4 MB script takes 0.1 s."""
    plain = page.path.read_bytes()
    return gzip.compress(plain, 6, mtime=0) if len(plain) >= _SMALLEST_COMPRESSED else None
