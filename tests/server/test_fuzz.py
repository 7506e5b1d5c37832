"""Whatever is sent to any route, the answer is well formed and never says that the server failed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.server.app import ALWAYS, TRACKING
from penstock.server.routes import Route
from server.running import Client

ROUTES = [*TRACKING, *ALWAYS]
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["0", "1", "metrics.a > 1", "name DESC", "m-1", "../x", "\x00", "NaN", "a" * 300, "'", "ACTIVE_ONLY", "\ud800"]
    ),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, 2**63, -(2**63), 10**400, 1e400]))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
KEYS = st.one_of(st.sampled_from(["key", "value", "timestamp", "step", "dataset", "model_id", "name"]), TEXTS)
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=8
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def requests(draw: st.DrawFn) -> tuple[Route, dict[str, Any], str]:
    """A route, values for some of its fields and a piece of a path."""
    route = draw(st.sampled_from(ROUTES))
    names = [field.wire for field in route.fields]
    keys = draw(st.lists(st.sampled_from([*names, "unknown"]), unique=True)) if names else []
    return route, {key: draw(VALUES) for key in keys}, draw(TEXTS)


@FUZZ
@given(request=requests())
def test_no_request_makes_the_server_fail(client: Client, request: tuple[Route, dict[str, Any], str]) -> None:
    route, values, piece = request
    path = route.path if route.bare else f"/api/{route.path}"
    for name in ("{model_id}", "{key}", "{path}"):
        path = path.replace(name, quote(piece.encode("utf-8", "replace"), safe=""))
    if route.method == "GET":
        query = {key: value if isinstance(value, list) else str(value) for key, value in values.items()}
        answer = client.send("GET", f"{path}?{urlencode(query, doseq=True, errors='replace')}")
    else:
        answer = client.send(route.method, path, json.dumps(values), {"Content-Type": "application/json"})
    assert answer.status < 500 or answer.status == 501, (route.path, values, answer.body)
    if answer.status >= 400 and answer.headers.get("content-type") == "application/json":
        assert set(answer.json) == {"error_code", "message"}


@FUZZ
@given(body=st.binary(max_size=200), route=st.sampled_from([route for route in ROUTES if route.method != "GET"]))
def test_no_body_makes_the_server_fail(client: Client, body: bytes, route: Route) -> None:
    path = route.path if route.bare else f"/api/{route.path}"
    answer = client.send(route.method, path, body, {"Content-Type": "application/json"})
    assert answer.status < 500 or answer.status == 501
