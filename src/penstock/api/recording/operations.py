"""What is logged, as values: items become batches that one request can carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from penstock.api.recording.absent import Absent
from penstock.ground.entities import Metric, Param, RunInfo, RunStatus, Tag
from penstock.store.limits import MAX_ITEMS, MAX_METRICS, MAX_PARAMS, MAX_TAGS

# MLflow refuses bodies of more than a million characters; names and JSON take the rest.
_MAX_VALUE_CHARS = 600_000


class LogBatch(Struct, frozen=True, kw_only=True, tag="log_batch"):
    """Metrics, params and tags of one run."""

    run_id: str
    metrics: tuple[Metric, ...] = ()
    params: tuple[Param, ...] = ()
    tags: tuple[Tag, ...] = ()

    def __len__(self) -> int:
        return len(self.metrics) + len(self.params) + len(self.tags)


class UpdateRun(Struct, frozen=True, kw_only=True, tag="update_run"):
    """A run's new status, and when it ended (milliseconds)."""

    run_id: str
    status: RunStatus
    end_time_ms: int | None = None


Operation = LogBatch | UpdateRun | Absent


class Sink(Protocol):
    """Where operations go: the part of a tracking store that logging needs."""

    def log_batch(
        self, run_id: str, *, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[Tag] = ()
    ) -> None: ...

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo: ...

    def catch_up(self, operation: Absent) -> None:
        """Does what the server was away for; doing it twice is the same as once."""


def send(operation: Operation, sink: Sink) -> None:
    """Has ``sink`` do the operation; doing it twice is the same as once."""
    if isinstance(operation, LogBatch):
        sink.log_batch(operation.run_id, metrics=operation.metrics, params=operation.params, tags=operation.tags)
    elif isinstance(operation, UpdateRun):
        sink.update_run(operation.run_id, status=operation.status, end_time_ms=operation.end_time_ms)
    else:
        sink.catch_up(operation)


def cut(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The same operations in order, neighbours of one run joined and large ones cut to what one request may hold."""
    open_batch: _OpenBatch | None = None
    for operation in operations:
        if not isinstance(operation, LogBatch):
            if open_batch is not None:
                yield open_batch.close()
                open_batch = None
            yield operation
            continue
        items: tuple[Metric | Param | Tag, ...] = (*operation.params, *operation.metrics, *operation.tags)
        for item in items:
            if open_batch is None or not open_batch.takes(operation.run_id, item):
                if open_batch is not None:
                    yield open_batch.close()
                open_batch = _OpenBatch(operation.run_id)
            open_batch.add(item)
    if open_batch is not None:
        yield open_batch.close()


def singles(batch: LogBatch) -> Iterator[LogBatch]:
    """The batch's items one by one."""
    for metric in batch.metrics:
        yield LogBatch(run_id=batch.run_id, metrics=(metric,))
    for param in batch.params:
        yield LogBatch(run_id=batch.run_id, params=(param,))
    for tag in batch.tags:
        yield LogBatch(run_id=batch.run_id, tags=(tag,))


class _OpenBatch:
    """A batch being filled; a param key occurs in it once, and of a tag the last value stays."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._metrics: list[Metric] = []
        self._params: dict[str, Param] = {}
        self._tags: dict[str, Tag] = {}
        self._value_chars = 0

    def takes(self, run_id: str, item: Metric | Param | Tag) -> bool:
        """Whether ``item`` still fits."""
        if run_id != self._run_id or len(self._metrics) + len(self._params) + len(self._tags) >= MAX_ITEMS:
            return False
        if isinstance(item, Metric):
            return len(self._metrics) < MAX_METRICS
        if self._value_chars and self._value_chars + len(item.value) > _MAX_VALUE_CHARS:
            return False
        if isinstance(item, Param):
            return self._params.get(item.key, item) == item and len(self._params) < MAX_PARAMS
        return len(self._tags) < MAX_TAGS

    def add(self, item: Metric | Param | Tag) -> None:
        if isinstance(item, Metric):
            self._metrics.append(item)
            return
        self._value_chars += len(item.value)
        if isinstance(item, Param):
            self._params[item.key] = item
        else:
            self._tags[item.key] = item

    def close(self) -> LogBatch:
        return LogBatch(
            run_id=self._run_id,
            metrics=tuple(self._metrics),
            params=tuple(self._params.values()),
            tags=tuple(self._tags.values()),
        )
