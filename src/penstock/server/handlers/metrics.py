"""Routes of metric histories."""

from __future__ import annotations

from msgspec import Struct

from penstock.ground.entities import Metric
from penstock.ground.errors import InvalidInput
from penstock.ground.wire import write_double
from penstock.server.context import Context
from penstock.server.fields import integer, text, texts
from penstock.server.handlers.experiments import Answer
from penstock.server.routes import Route, reads
from penstock.store.metrics import MAX_PAGE, STEPS

BASE = "2.0/mlflow/metrics"
MAX_BULK = 25_000
MAX_BULK_RUNS = 100
DEFAULT_SAMPLE = 2500


def history(context: Context, *, run_id: str, key: str, limit: int, page_token: str | None) -> Answer:
    page = context.store.tracking.metric_history(run_id, key, limit=limit, page_token=page_token)
    answer: Answer = {"metrics": [_point(point) for point in page.items]} if page.items else {}
    return answer | ({"next_page_token": page.next_page_token} if page.next_page_token else {})


class _Point(Struct, frozen=True, omit_defaults=True):
    """A point of a history under its names on the wire; encoded as it is, for there may be a million."""

    key: str
    value: float | str
    timestamp: int
    step: int
    run_id: str | None = None


def _point(point: Metric) -> _Point:
    """The point, without the run that was asked for."""
    return _Point(point.key, write_double(point.value), point.timestamp_ms, point.step)


def _points(metrics: tuple[Metric, ...]) -> list[_Point]:
    return [
        _Point(point.key, write_double(point.value), point.timestamp_ms, point.step, point.run_id) for point in metrics
    ]


def bulk_history(context: Context, *, run_ids: tuple[str, ...], key: str, limit: int) -> Answer:
    _check_runs(run_ids)
    _check_limit(limit, MAX_BULK)
    points = context.store.tracking.bulk_history(run_ids, key, limit=limit)
    return {"metrics": _points(points)}


def sampled_history(
    context: Context,
    *,
    run_ids: tuple[str, ...],
    key: str,
    start_step: int | None,
    end_step: int | None,
    limit: int,
) -> Answer:
    _check_runs(run_ids)
    _check_limit(limit, DEFAULT_SAMPLE)
    if (start_step is None) != (end_step is None):
        raise InvalidInput(
            "If either start step or end step are specified, both must be specified.", fix="Send both or neither."
        )
    steps = STEPS if start_step is None or end_step is None else (start_step, end_step)
    if steps[0] > steps[1]:
        raise InvalidInput("end_step must be greater than start_step.", fix="Exchange them.")
    points = context.store.tracking.sampled_history(run_ids, key, steps=steps, wanted=limit)
    return {"metrics": _points(points)} if points else {}


def _check_runs(run_ids: tuple[str, ...]) -> None:
    if len(run_ids) > MAX_BULK_RUNS:
        raise InvalidInput(
            f"GetMetricHistoryBulk request cannot specify more than {MAX_BULK_RUNS} run_ids. Received {len(run_ids)}.",
            fix="Ask in several requests.",
        )


def _check_limit(limit: int, maximum: int) -> None:
    if not 1 <= limit <= maximum:
        raise InvalidInput(
            f"Invalid value {limit} for parameter 'max_results' supplied: It must be between 1 and {maximum}."
        )


KEY = text("metric_key", name="key", required=True)
ROUTES: tuple[Route, ...] = (
    reads(
        f"{BASE}/get-history",
        history,
        text("run_id", required=True, also="run_uuid"),
        KEY,
        integer("max_results", name="limit", default=MAX_PAGE),
        text("page_token"),
    ),
    reads(
        f"{BASE}/get-history-bulk",
        bulk_history,
        texts("run_id", name="run_ids", required=True),
        KEY,
        integer("max_results", name="limit", default=MAX_BULK),
    ),
    reads(
        f"{BASE}/get-history-bulk-interval",
        sampled_history,
        texts("run_ids", required=True),
        KEY,
        integer("start_step"),
        integer("end_step"),
        integer("max_results", name="limit", default=DEFAULT_SAMPLE),
    ),
)
