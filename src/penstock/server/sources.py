"""Where a model version may come from.

A version's files are served to whoever asks for the version, so a source must be a place that the asker could read
anyway: below the named run's or logged model's artifact root, or in a storage that asks for credentials of its own.
Paths are resolved and compared, never judged by their look.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.ground.errors import InvalidInput
from penstock.server.context import Context
from penstock.store.limits import urlsplit_or_invalid

_ROOTED = ("", "file", "mlflow-artifacts", "http", "https")


def check_source(context: Context, source: str, *, run_id: str | None, model_id: str | None) -> None:
    """Raises InvalidInput unless ``source`` may become a version's."""
    parts = urlsplit_or_invalid("source", source)
    if _climbs(source):
        raise _refused(source, "It may not hold '..'.")
    if parts.scheme == "models":
        named = parts.path.strip("/")
        if named.startswith("m-") and named != model_id:
            raise _refused(source, "The model_id request parameter has to name the same logged model.")
    elif parts.scheme == "runs":
        if parts.path.strip("/").partition("/")[0] != run_id:
            raise _refused(source, "The run_id request parameter has to name the same run.")
    elif parts.scheme.lower() in _ROOTED:
        _check_rooted(context, source, run_id, model_id)


def _check_rooted(context: Context, source: str, run_id: str | None, model_id: str | None) -> None:
    roots = []
    if model_id:
        roots.append(context.store.tracking.get_logged_model(model_id).artifact_uri)
    elif run_id:
        roots.append(context.store.tracking.get_run(run_id).info.artifact_uri)
    if not any(_is_below(source, root) for root in roots):
        raise _refused(
            source,
            "To use a local or proxied path as a model version source, the run_id or model_id request parameter has "
            "to be specified and the path has to be contained within its artifact directory.",
        )


def _is_below(source: str, root: str) -> bool:
    own, base = urlsplit(source), urlsplit(root)
    if own.scheme.lower() in ("", "file"):
        if base.scheme.lower() not in ("", "file") or own.netloc not in ("", "localhost"):
            return False
        path, folder = Path(unquote(own.path)).resolve(), Path(unquote(base.path)).resolve()
        return folder == path or folder in path.parents
    same_place = (own.scheme.lower(), own.netloc.lower()) == (base.scheme.lower(), base.netloc.lower())
    parts, above = _parts(own.path), _parts(base.path)
    return same_place and bool(above) and parts[: len(above)] == above


def _parts(path: str) -> list[str]:
    return [_decoded(part) for part in path.split("/") if part]


def _climbs(source: str) -> bool:
    text = _decoded(source)
    return "\x00" in text or ".." in text.replace("\\", "/").split("/") or "?" in source or "#" in source


def _decoded(text: str) -> str:
    for _ in range(10):
        decoded = unquote(text)
        if decoded == text:
            return text
        text = decoded
    raise InvalidInput("Invalid model version source: it is percent-encoded too often.", fix="Write the path plainly.")


def _refused(source: str, reason: str) -> InvalidInput:
    return InvalidInput(f"Invalid model version source: '{source[:500]}'. {reason}")
