"""CloudWatch in CBOR, which newer SDKs speak and moto does not: handed to moto as JSON, and back."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import msgspec

from penstock.rehearsal.wire import cbor
from penstock.rehearsal.wire.exceptions import AwsError, serialization, unknown_operation
from penstock.rehearsal.wire.shapes import service_model
from penstock.rehearsal.wsgi import WsgiApp

_TARGET = "GraniteServiceVersion20100801"
_PATH = f"/service/{_TARGET}/operation/"


def speaking_cbor(app: WsgiApp) -> WsgiApp:
    """The application, which knows AWS JSON and the query protocol, and Smithy RPC v2 CBOR besides."""

    def spoken(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(_PATH):
            return app(environ, start_response)
        operation = environ["PATH_INFO"].removeprefix(_PATH)
        try:
            status, content = _asked(app, environ, operation)
        except AwsError as error:
            status, content = "400 Bad Request", cbor.encode({"__type": error.code, "message": error.message}, None)
        headers = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
        start_response(status, [*headers, ("Content-Length", str(len(content)))])
        return [content]

    return spoken


def _asked(app: WsgiApp, environ: dict[str, Any], operation: str) -> tuple[str, bytes]:
    model = service_model("cloudwatch")
    if operation not in model.operation_names:
        raise unknown_operation(operation)
    body = environ["wsgi.input"].read()
    try:
        parameters = cbor.decode(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise serialization(f"The request body is not CBOR: {error}") from error
    status: list[str] = []

    def remember(line: str, _headers: Any, _exc_info: Any = None) -> Any:
        status.append(line)
        return lambda _piece: None

    answer = b"".join(app(_as_json(environ, operation, msgspec.json.encode(parameters)), remember))
    shape = model.operation_model(operation).output_shape if status[-1].startswith("2") else None
    try:
        return status[-1], cbor.encode(msgspec.json.decode(answer) if answer else {}, shape)
    except msgspec.DecodeError as error:  # moto's own page for what it does not do
        raise unknown_operation(operation) from error


def _as_json(environ: dict[str, Any], operation: str, body: bytes) -> dict[str, Any]:
    kept = {name: value for name, value in environ.items() if name != "HTTP_SMITHY_PROTOCOL"}
    return {
        **kept, "PATH_INFO": "/", "RAW_URI": "/", "REQUEST_URI": "/", "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/x-amz-json-1.0", "HTTP_X_AMZ_TARGET": f"{_TARGET}.{operation}",
        "HTTP_X_AMZN_QUERY_MODE": "true", "wsgi.input": io.BytesIO(body),
    }  # fmt: skip
