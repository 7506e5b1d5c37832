"""Whatever is sent to any route, the answer is well formed and never says that the server failed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.server.app import ALWAYS, TRACKING
from penstock.server.routes import Route
from server.running import Client, options_in, running

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
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
FUZZ = settings(max_examples=8, deadline=None, suppress_health_check=QUIET)
MORE = settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
EVERY = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
RUN, MODEL = "f" * 32, "fuzzed"
# What is there, so that requests get past the first look-up; the rest of a request is anything.
THERE = {"run_id": RUN, "run_uuid": RUN, "experiment_id": "0", "name": MODEL, "version": "1", "key": "k"}


@st.composite
def fields_of(draw: st.DrawFn, route: Route) -> tuple[dict[str, Any], str]:
    """Values for some of a route's fields, and a piece of a path."""
    names = [field.wire for field in route.fields]
    keys = draw(st.lists(st.sampled_from([*names, "unknown"]), unique=True)) if names else []
    values = {key: draw(VALUES) for key in keys}
    there = {key: value for key, value in THERE.items() if key in names}
    return (values | there if draw(st.booleans()) else there | values), draw(TEXTS)


def check_route(client: Client, route: Route, values: dict[str, Any], piece: str) -> None:
    """Sends the request. Fails when the server does, or when its error is not well formed."""
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


@pytest.fixture(scope="module")
def filled(port: int) -> int:
    """The port of a server that knows the run and the registered model that the requests name."""
    client = Client(port)
    fill(client)
    client.close()
    return port


def fill(client: Client) -> None:
    client.make_run(run_id=RUN)
    client.post("registered-models/create", name=MODEL)
    assert client.post("model-versions/create", name=MODEL, source="s3://bucket/x").status == 200


@EVERY
@FUZZ
@given(data=st.data())
def test_no_request_makes_the_server_fail(filled: int, client: Client, route: Route, data: st.DataObject) -> None:
    check_route(client, route, *data.draw(fields_of(route)))


@FUZZ
@EVERY
@given(body=st.binary(max_size=200))
def test_no_body_makes_the_server_fail(client: Client, route: Route, body: bytes) -> None:
    path = route.path if route.bare else f"/api/{route.path}"
    if route.method != "GET":
        answer = client.send(route.method, path, body, {"Content-Type": "application/json"})
        assert answer.status < 500 or answer.status == 501


@pytest.mark.full
@MORE
@EVERY
@given(data=st.data())
def test_no_request_makes_a_server_on_postgres_fail(on_postgres: Client, route: Route, data: st.DataObject) -> None:
    check_route(on_postgres, route, *data.draw(fields_of(route)))


@pytest.fixture(scope="module")
def on_postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    import psycopg

    cluster, name = request.getfixturevalue("postgres_cluster"), f"f{secrets.token_hex(6)}"
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    with running(options_in(tmp_path_factory.mktemp("fuzz"), store_uri=f"{cluster}/{name}")) as port:
        client = Client(port)
        fill(client)
        yield client
        client.close()
