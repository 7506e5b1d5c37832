"""Routes that hand out signed URLs: for the parts of an upload, and for whole artifacts."""

from __future__ import annotations

from typing import Any

from penstock.artifacts.parts import MAX_PARTS, Part, PartwiseStorage, open_parts
from penstock.artifacts.paths import artifact_path, join_path
from penstock.ground.errors import InvalidInput
from penstock.server.context import PROXY_SCHEME, Context
from penstock.server.fields import integer, objects, text
from penstock.server.handlers.artifacts import check_serving
from penstock.server.handlers.experiments import Answer
from penstock.server.routes import Route, reads
from penstock.store.limits import check_length, invalid_value, missing_value

MAX_SECONDS = 604_800  # what S3 allows
DEFAULT_SECONDS = 900


def create(context: Context, *, path: str, file: str, num_parts: int) -> Answer:
    if not 1 <= num_parts <= MAX_PARTS:
        raise invalid_value("num_parts", num_parts, f"It must be between 1 and {MAX_PARTS}.")
    upload_id, targets = _proxied(context).create(_target(path, file), num_parts)
    found = [{"url": target.url, "part_number": target.number, "headers": {}} for target in targets]
    return {"upload_id": upload_id, "credentials": found}


def complete(context: Context, *, path: str, file: str, upload_id: str, parts: tuple[dict[str, Any], ...]) -> Answer:
    read = [_part(entry, f"parts[{index}]") for index, entry in enumerate(parts)]
    _proxied(context).complete(_target(path, file), upload_id, read)
    return {}


def abort(context: Context, *, path: str, file: str, upload_id: str) -> Answer:
    _proxied(context).abort(_target(path, file), upload_id)
    return {}


def presigned(context: Context, *, path: str) -> Answer:
    url, size_bytes = _proxied(context).download_url(_file(path), seconds=DEFAULT_SECONDS)
    return {"url": url, "headers": {}, "file_size": size_bytes}


def download_url(context: Context, *, run_id: str | None, model_id: str | None, path: str, expiration: int) -> Answer:
    storage = _direct(context, run_id, model_id, "download")
    url, size_bytes = storage.download_url(_file(path), seconds=_seconds(expiration))
    return {"presigned_url": url, "headers": {}, "file_size": size_bytes}


def upload_url(context: Context, *, run_id: str | None, model_id: str | None, path: str, expiration: int) -> Answer:
    storage = _direct(context, run_id, model_id, "upload")
    return {"presigned_url": storage.upload_url(_file(path), seconds=_seconds(expiration)), "headers": {}}


def _proxied(context: Context) -> PartwiseStorage:
    check_serving(context)
    return open_parts(context.options.artifacts_destination)


def _direct(context: Context, run_id: str | None, model_id: str | None, doing: str) -> PartwiseStorage:
    """The storage of a run or a logged model whose root is not behind the proxy."""
    if bool(run_id) == bool(model_id):
        raise InvalidInput("Exactly one of run_id and model_id has to be given.", fix="Send one of them.")
    tracking = context.store.tracking
    root = tracking.get_run(run_id).info.artifact_uri if run_id else ""
    root = root or tracking.get_logged_model(model_id or "").artifact_uri
    if root.startswith(PROXY_SCHEME):
        raise InvalidInput(
            f"Presigned {doing} is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts).",
            fix="Use the mlflow-artifacts routes.",
        )
    return open_parts(root)


def _target(path: str, file: str) -> str:
    """The artifact that an upload makes: ``file``'s last part in the folder ``path``."""
    return _file(join_path(artifact_path(path), file.replace("\\", "/").rpartition("/")[2]))


def _file(path: str) -> str:
    clean = artifact_path(path)
    if not clean:
        raise InvalidInput("Invalid path: it does not name an artifact.", fix="Name a file.")
    return clean


def _seconds(expiration: int) -> int:
    if not 1 <= expiration <= MAX_SECONDS:
        raise invalid_value("expiration", expiration, f"It must be between 1 and {MAX_SECONDS} seconds.")
    return expiration


def _part(entry: dict[str, Any], path: str) -> Part:
    number, etag = entry.get("part_number"), entry.get("etag")
    if number is None or not etag:
        raise missing_value(f"{path}.{'etag' if number is not None else 'part_number'}")
    if type(number) is not int or not 1 <= number <= MAX_PARTS or not isinstance(etag, str):
        raise invalid_value(path, entry, "It has no valid part number and etag.")
    check_length(f"{path}.etag", etag, 1000)
    return Part(number, etag)


FILE = text("path", name="file", required=True)
UPLOAD = text("upload_id", required=True)
DIRECT = (
    text("run_id"),
    text("model_id"),
    text("path", required=True),
    integer("expiration", default=DEFAULT_SECONDS),
)
MPU = "2.0/mlflow-artifacts/mpu"
ROUTES: tuple[Route, ...] = (
    reads(f"{MPU}/create/{{path}}", create, FILE, integer("num_parts", default=1), method="POST"),
    reads(f"{MPU}/complete/{{path}}", complete, FILE, UPLOAD, objects("parts"), method="POST"),
    reads(f"{MPU}/abort/{{path}}", abort, FILE, UPLOAD, method="POST"),
    reads("2.0/mlflow-artifacts/presigned/{path}", presigned),
    reads("2.0/mlflow/artifacts/presigned-download-url", download_url, *DIRECT, method="POST"),
    reads("2.0/mlflow/artifacts/presigned-upload-url", upload_url, *DIRECT, method="POST"),
)
