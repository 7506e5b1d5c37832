"""Background logging: batches, refusals, and a server that goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api.recording.operations import LogBatch, Operation, UpdateRun, cut
from penstock.api.recording.recorder import Recorder
from penstock.api.recording.spool import Spool, list_spools, new_spool
from penstock.ground.entities import Metric, Param, RunInfo, RunStatus, Tag
from penstock.ground.errors import InvalidInput, TimedOut, Unavailable
from penstock.store.limits import check_batch


class Server:
    """A sink that can be away, slow, or choosy; what it has taken stands in ``taken``, in order."""

    def __init__(self) -> None:
        self.away = False
        self.calls = 0
        self.away_after: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.taken: list[tuple[str, object]] = []

    def log_batch(
        self, run_id: str, *, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[Tag] = ()
    ) -> None:
        self._answer()
        if any(param.value == "refused" for param in params):
            raise InvalidInput("That param is refused.")
        self.taken.extend((run_id, item) for item in (*params, *metrics, *tags))

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        self._answer()
        self.taken.append((run_id, status))
        return RunInfo(run_id=run_id, run_name="", experiment_id="0", artifact_uri="")

    def _answer(self) -> None:
        self.gate.wait(30)
        self.calls += 1
        if self.away or (self.away_after is not None and self.calls > self.away_after):
            raise Unavailable("The server is away.")


def point(step: int) -> Metric:
    return Metric(key="m", value=float(step), timestamp_ms=step, step=step)


def logged(step: int, run_id: str = "r") -> LogBatch:
    return LogBatch(run_id=run_id, metrics=(point(step),))


def steps(server: Server) -> list[int]:
    return [item.step for _, item in server.taken if isinstance(item, Metric)]


items = st.one_of(
    st.builds(LogBatch, run_id=st.sampled_from("ab"), metrics=st.lists(st.builds(point, st.integers(0, 9))).map(tuple)),
    st.builds(
        LogBatch,
        run_id=st.sampled_from("ab"),
        params=st.lists(st.builds(Param, key=st.sampled_from("pq"), value=st.sampled_from("12"))).map(tuple),
        tags=st.lists(st.builds(Tag, key=st.sampled_from("tu"), value=st.sampled_from("12"))).map(tuple),
    ),
    st.builds(UpdateRun, run_id=st.sampled_from("ab"), status=st.just(RunStatus.FINISHED)),
)


@given(st.lists(items, max_size=40))
def test_batches_hold_the_same_items_in_order_and_fit_one_request(operations: list[Operation]) -> None:
    batches = list(cut(operations))
    for batch in batches:
        if isinstance(batch, LogBatch):
            check_batch(batch.metrics, batch.params, batch.tags)
    assert _effect(batches) == _effect(operations)


def _effect(operations: Sequence[Operation]) -> object:
    """What a store ends up with: points in order, each param's distinct values in order, each tag's last value."""
    points: list[object] = []
    params: dict[object, list[str]] = {}
    tags: dict[object, str] = {}
    ends: list[object] = []
    for operation in operations:
        if isinstance(operation, UpdateRun):
            ends.append((operation, len(points)))
            continue
        points.extend((operation.run_id, metric) for metric in operation.metrics)
        for param in operation.params:
            values = params.setdefault((operation.run_id, param.key), [])
            if not values or values[-1] != param.value:
                values.append(param.value)
        tags.update({(operation.run_id, tag.key): tag.value for tag in operation.tags})
    return points, params, tags, ends


def test_a_long_loop_becomes_batches_of_a_thousand() -> None:
    batches = list(cut(logged(step) for step in range(2500)))
    assert [len(batch) for batch in batches if isinstance(batch, LogBatch)] == [1000, 1000, 500]


def test_long_texts_are_cut_to_what_a_body_may_hold() -> None:
    tags = tuple(Tag(key=f"t{number}", value="x" * 60_000) for number in range(30))
    batches = [batch for batch in cut([LogBatch(run_id="r", tags=tags)]) if isinstance(batch, LogBatch)]
    assert max(sum(len(tag.value) for tag in batch.tags) for batch in batches) <= 600_000
    assert sum(len(batch) for batch in batches) == 30


def test_logging_does_not_wait_for_a_slow_server() -> None:
    server = Server()
    server.gate.clear()
    recorder = Recorder(server, spool=None, tracking_uri="x")
    for step in range(5000):
        recorder.record(logged(step))
    assert server.taken == []
    with pytest.raises(TimedOut):
        recorder.flush(timeout_seconds=0.01)
    server.gate.set()
    recorder.flush()
    assert steps(server) == list(range(5000))
    assert server.calls < 20


def test_a_refused_value_is_raised_once_and_takes_none_along() -> None:
    server = Server()
    server.gate.clear()
    recorder = Recorder(server, spool=None, tracking_uri="x")
    recorder.record(logged(0))
    recorder.record(LogBatch(run_id="r", params=(Param(key="p", value="refused"), Param(key="q", value="1"))))
    recorder.record(logged(1))
    server.gate.set()
    with pytest.raises(InvalidInput, match="refused"):
        recorder.flush()
    recorder.flush()
    assert sorted(steps(server)) == [0, 1]
    assert ("r", Param(key="q", value="1")) in server.taken


def test_without_a_spool_an_absent_server_is_raised() -> None:
    server = Server()
    server.away = True
    recorder = Recorder(server, spool=None, tracking_uri="x")
    recorder.record(logged(0))
    with pytest.raises(Unavailable):
        recorder.flush()


def test_while_the_server_is_away_it_spools_and_later_sends_in_order(tmp_path: Path) -> None:
    server = Server()
    recorder = Recorder(server, spool=new_spool(tmp_path, "http://x"), tracking_uri="http://x")
    recorder.record(logged(0))
    recorder.flush()
    server.away = True
    for step in range(1, 4):
        recorder.record(logged(step))
        recorder.flush()
    recorder.record(UpdateRun(run_id="r", status=RunStatus.FINISHED))
    recorder.flush()
    assert recorder.is_spooling
    assert steps(server) == [0]
    (spool,) = list_spools(tmp_path)
    assert spool.tracking_uri == "http://x"
    assert spool.path.stat().st_mode & 0o077 == 0
    server.away = False
    recorder.close()
    assert steps(server) == [0, 1, 2, 3]
    assert server.taken[-1] == ("r", RunStatus.FINISHED)
    assert list_spools(tmp_path) == []
    recorder.record(logged(4))
    recorder.flush()
    assert steps(server) == [0, 1, 2, 3, 4]


def test_a_server_that_goes_away_in_the_middle_gets_each_value_once(tmp_path: Path) -> None:
    server = Server()
    server.gate.clear()
    recorder = Recorder(server, spool=new_spool(tmp_path, "http://x"), tracking_uri="http://x")
    for step in range(2500):
        recorder.record(logged(step))
    server.away_after = 2
    server.gate.set()
    recorder.flush()
    assert recorder.is_spooling
    server.away_after = None
    recorder.close()
    assert steps(server) == list(range(2500))


def test_a_spool_goes_on_behind_the_last_acknowledgement_and_stops_at_a_torn_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.jsonl")
    spool.append([logged(step) for step in range(3)], "http://x")
    marks = [mark for _, mark in spool.waiting()]
    spool.acknowledge(marks[0])
    again = Spool(spool.path)
    assert [operation.metrics[0].step for operation, _ in again.waiting() if isinstance(operation, LogBatch)] == [1, 2]
    spool.path.write_bytes(spool.path.read_bytes()[:-5])
    assert [mark for _, mark in again.waiting()] == [marks[1]]


def test_special_numbers_survive_the_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.jsonl")
    values = (float("nan"), float("inf"), float("-inf"), 1e308)
    spool.append([LogBatch(run_id="r", metrics=tuple(Metric(key="m", value=v, timestamp_ms=0) for v in values))], "u")
    ((operation, _),) = spool.waiting()
    assert isinstance(operation, LogBatch)
    assert [str(metric.value) for metric in operation.metrics] == [str(value) for value in values]
