"""A sample of requests and predictions, one JSON line each on stdout, where the platform's log collects them."""

from __future__ import annotations

import base64
import random
import sys
import time
from typing import Any

import msgspec

from penstock.ground.names import short_id
from penstock.serving.codecs.answers import plain
from penstock.serving.http.types import Request
from penstock.serving.payload import Payload

LONGEST_BYTES = 16 << 10


class RequestLog:
    """Writes about ``share`` (0 to 1) of the requests it is told of."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._random = random.Random()
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def write(self, request: Request, payload: Payload, predictions: Any) -> None:
        """Writes one line, or nothing."""
        if self._random.random() >= self._share:
            return
        line = {
            "event": "prediction",
            "time_ms": time.time_ns() // 1_000_000,
            "request_id": request.headers.get("x-request-id") or short_id(16),
            "inference_id": request.headers.get("x-amzn-sagemaker-inference-id"),
            "path": request.path,
            "content_type": request.headers.get("content-type"),
            "rows": None if payload.rows is None else len(payload.rows),
            **_body(request.body),
            "predictions": plain(predictions),
        }
        sys.stdout.buffer.write(self._encoder.encode(line) + b"\n")
        sys.stdout.buffer.flush()


def _body(body: bytes) -> dict[str, Any]:
    """The body as text, in base64 where it is none, and only its size where it is long."""
    if len(body) > LONGEST_BYTES:
        return {"body_bytes": len(body)}
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode("ascii")}
