"""Routes that list what runs and the proxy keep."""

from __future__ import annotations

from penstock.artifacts.paths import artifact_path, join_path
from penstock.ground.entities import FileInfo
from penstock.ground.errors import Unavailable
from penstock.ground.wire import to_wire
from penstock.server.context import Context, opened
from penstock.server.fields import text
from penstock.server.handlers.experiments import Answer
from penstock.server.routes import Route, reads


def list_artifacts(context: Context, root_uri: str, path: str) -> tuple[FileInfo, ...]:
    """The children of ``path`` below ``root_uri``, with paths relative to that root. Raises InvalidInput."""
    clean = artifact_path(path)
    repository, prefix = context.artifacts_at(root_uri)
    inside = artifact_path(prefix)
    found = repository.list(join_path(inside, clean))
    return tuple(_relative(info, inside) for info in found)


def _relative(info: FileInfo, prefix: str) -> FileInfo:
    path = info.path[len(prefix) + 1 :] if prefix else info.path
    return FileInfo(path=path, is_dir=info.is_dir, size_bytes=info.size_bytes)


def list_run(context: Context, *, run_id: str, path: str) -> Answer:
    root_uri = context.store.tracking.get_run(run_id).info.artifact_uri
    files = list_artifacts(context, root_uri, path)
    answer: Answer = {"root_uri": root_uri}
    return answer | ({"files": [to_wire(info) for info in files]} if files else {})


def list_proxied(context: Context, *, path: str) -> Answer:
    """The children's names alone, as MLflow's proxy answers."""
    check_serving(context)
    clean = artifact_path(path)
    found = opened(context.options.artifacts_destination).list(clean)
    prefix = f"{clean}/" if clean else ""
    files = [
        to_wire(FileInfo(path=info.path.removeprefix(prefix), is_dir=info.is_dir, size_bytes=info.size_bytes))
        for info in found
    ]
    return {"files": files} if files else {}


def check_serving(context: Context) -> None:
    """Raises Unavailable when the server was started without the proxy."""
    if not context.options.serve_artifacts:
        raise Unavailable(
            "Endpoint disabled due to the mlflow server running in `--no-serve-artifacts` mode.",
            fix="Start the server with --serve-artifacts.",
        )


ROUTES: tuple[Route, ...] = (
    reads(
        "2.0/mlflow/artifacts/list",
        list_run,
        text("run_id", required=True, also="run_uuid"),
        text("path", default=""),
    ),
    reads("2.0/mlflow-artifacts/artifacts", list_proxied, text("path", default="")),
)
