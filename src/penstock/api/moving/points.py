"""MLflow's numbers for states, and the latest point of each metric."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.ground.entities import LoggedModelStatus, Metric, RunStatus

RUN_STATUSES = {
    1: RunStatus.RUNNING,
    2: RunStatus.SCHEDULED,
    3: RunStatus.FINISHED,
    4: RunStatus.FAILED,
    5: RunStatus.KILLED,
}
_MODEL_STATUSES = {
    1: LoggedModelStatus.PENDING,
    2: LoggedModelStatus.READY,
    3: LoggedModelStatus.UPLOAD_FAILED,
}
RUN_STATUS_NUMBERS = {status: number for number, status in RUN_STATUSES.items()}
MODEL_STATUS_NUMBERS = {status: number for number, status in _MODEL_STATUSES.items()}


def logged_model_status(value: int | str) -> LoggedModelStatus:
    """MLflow's number or name of a logged model's status."""
    if isinstance(value, int):
        return _MODEL_STATUSES.get(value, LoggedModelStatus.PENDING)
    return LoggedModelStatus(value if value.startswith("LOGGED_MODEL_") else f"LOGGED_MODEL_{value}")


def latest_of(points: Iterable[Metric]) -> tuple[Metric, ...]:
    """The point with the greatest (step, timestamp, value) of each key; a number comes before a NaN."""
    latest: dict[str, Metric] = {}
    for point in points:
        best = latest.get(point.key)
        if best is None or _rank(point) > _rank(best):
            latest[point.key] = point
    return tuple(latest[key] for key in sorted(latest))


def _rank(point: Metric) -> tuple[int, int, bool, float]:
    is_number = point.value == point.value
    return (point.step, point.timestamp_ms, is_number, point.value if is_number else 0.0)
