"""The trial of an endpoint: called with its example for a while, with as many rows as it takes, with nonsense."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from penstock.deploy.limits import PAYLOAD_SAFE_BYTES, SERVERLESS_PAYLOAD_BYTES
from penstock.deploy.targets.port import Target
from penstock.ground.errors import ModelFailed, PenstockError
from penstock.models.example import InputExample

# Bodies that a caller may send by mistake: each must be refused, none may break the server.
MALFORMED: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "application/json"),
    "an empty body": (b"", "application/json"),
    "no known form": (b'{"rows": []}', "application/json"),
    "a format nobody reads": (b"x", "application/x-nothing"),
}
_MOST_ROWS = 200_000


class Refused(Struct, frozen=True, kw_only=True):
    """How the model met one malformed body: ``refused`` is False if it took it or broke."""

    what: str
    refused: bool
    answer: str


class LargeBody(Struct, frozen=True, kw_only=True):
    """How the model met a body of many rows; ``answer`` is what it said when it did not take it, else ''."""

    rows: int
    size_bytes: int
    latency_ms: float
    answer: str = ""


class Trial(Struct, frozen=True, kw_only=True):
    """What was seen. Latencies are the caller's, in milliseconds, one call after another."""

    latencies_ms: tuple[float, ...] = ()
    payload_bytes: int = 0
    large: LargeBody | None = None
    malformed: tuple[Refused, ...] = ()
    memory_percent: float | None = None

    @property
    def slowest_ms(self) -> float:
        return max(self.latencies_ms, default=0.0)


def run_trial(
    target: Target, name: str, example: InputExample | None, *, soak_s: float, serverless: bool = False
) -> Trial:
    """Calls the endpoint for ``soak_s`` seconds, then with a body near the limit, then with malformed ones."""
    payload = example.payload() if example else None
    body = msgspec.json.encode(payload) if payload else b""
    latencies = tuple(_soak(target, name, body, soak_s)) if payload else ()
    limit = SERVERLESS_PAYLOAD_BYTES if serverless else PAYLOAD_SAFE_BYTES
    large = _large(target, name, payload, int(limit * 0.95)) if payload and soak_s > 0 else None
    malformed = tuple(_refused(target, name, what, *sent) for what, sent in MALFORMED.items())
    held = [one.memory_max_percent for one in target.metrics(name, minutes=30).variants]
    known = [percent for percent in held if percent is not None]
    return Trial(
        latencies_ms=latencies,
        payload_bytes=len(body),
        large=large,
        malformed=malformed,
        memory_percent=max(known, default=None),
    )


def _soak(target: Target, name: str, body: bytes, seconds: float) -> Iterator[float]:
    """The latency of each call, one after another, for that many seconds."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield target.invoke(name, body).latency_ms


def _large(target: Target, name: str, payload: dict[str, Any], limit_bytes: int) -> LargeBody | None:
    """The example's rows again and again, up to the limit; None for an example that has no rows to repeat."""
    repeated, rows = _repeated(payload, limit_bytes)
    if repeated is None:
        return None
    body = msgspec.json.encode(repeated)
    begun = time.perf_counter()
    try:
        answer, said = target.invoke(name, body), ""
        latency_ms = answer.latency_ms
    except PenstockError as error:
        latency_ms, said = (time.perf_counter() - begun) * 1000, error.message.splitlines()[0][:200]
    return LargeBody(rows=rows, size_bytes=len(body), latency_ms=round(latency_ms, 3), answer=said)


def _repeated(payload: dict[str, Any], limit_bytes: int) -> tuple[dict[str, Any] | None, int]:
    """The payload with its rows repeated, and how many rows it has then. Pure."""
    frame = payload.get("dataframe_split")
    rows = frame["data"] if frame else payload.get("inputs")
    if not isinstance(rows, list) or not rows:
        return None, 0
    each = max(len(msgspec.json.encode(rows)) - 1, 1)
    rest = len(msgspec.json.encode(payload)) - each
    times = max(min((limit_bytes - rest) // each, _MOST_ROWS // len(rows)), 1)
    more = rows * times
    if frame:
        whole = {key: value for key, value in frame.items() if key != "index"}
        return {**payload, "dataframe_split": {**whole, "data": more}}, len(more)
    return {**payload, "inputs": more}, len(more)


def _refused(target: Target, name: str, what: str, body: bytes, content_type: str) -> Refused:
    try:
        answer = target.invoke(name, body, content_type=content_type)
    except ModelFailed as error:
        return Refused(what=what, refused="answered 4" in error.message, answer=error.message.splitlines()[0][:200])
    except PenstockError as error:
        return Refused(what=what, refused=True, answer=error.message[:200])
    return Refused(what=what, refused=False, answer=answer.body[:200].decode("utf-8", "replace"))
