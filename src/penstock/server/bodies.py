"""A request's body or query -> the fields as sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from penstock.ground.errors import InvalidInput
from penstock.server.fields import from_query
from penstock.server.routes import Route
from penstock.serving.http.types import Request

MAX_QUERY_FIELDS = 10_000
_decode = msgspec.json.Decoder().decode


def given_fields(route: Route, request: Request) -> Mapping[str, Any]:
    """What the request gives: its query for GET and streams, its JSON object for anything else. Raises InvalidInput."""
    if request.method in ("GET", "HEAD") or request.stream is not None:
        return _from_query(route, request) if request.query else {}
    if request.body:
        return _from_body(request)
    return _from_query(route, request) if request.query else {}


def _from_query(route: Route, request: Request) -> Mapping[str, Any]:
    try:
        query = parse_qs(request.query, keep_blank_values=True, errors="replace", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"The query string cannot be read: {error}.", fix="Send fewer fields.") from None
    return from_query(route.fields, query)


def _from_body(request: Request) -> Mapping[str, Any]:
    content_type = request.headers.get("content-type") or ""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput(
            f"Bad Request. Content-Type {content_type!r:.100} is not read here.", fix="Send application/json."
        )
    try:
        value = _decode(request.body)
        if isinstance(value, str):  # some clients encode twice
            value = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}.", fix="Send a JSON object.") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"The body is JSON but no object: {value!r:.100}.", fix="Send a JSON object.")
    return value
