"""The floor: a handler that returns a constant on our HTTP stack. ``python null_handler.py PORT``."""

from __future__ import annotations

import sys

from penstock.serving.http.server import run
from penstock.serving.http.types import Limits, Request, RequestHead, Response

BODY = b'{"predictions":[0.0]}'
HEADERS = [("content-type", "application/json")]


class Null:
    def limits(self, head: RequestHead) -> Limits:
        return Limits()

    def __call__(self, request: Request) -> Response:
        return Response(200, BODY, HEADERS)


run(Null(), port=int(sys.argv[1]))
