"""The history of metrics: every point, in pages or sampled."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.ground.entities import Metric, Page
from penstock.store.batches import absent_run
from penstock.store.database import Row, Session
from penstock.store.part import Part
from penstock.store.queries import Queries
from penstock.store.search.pages import Window

SQL = Queries("metrics")
RUNS = Queries("runs")
MAX_PAGE = 1_000_000
NAN = float("nan")
STEPS = (-(1 << 63), (1 << 63) - 1)


class Metrics(Part):
    """Read what was logged over time."""

    def metric_history(
        self, run_id: str, key: str, *, limit: int = MAX_PAGE, page_token: str | None = None
    ) -> Page[Metric]:
        """The points of one metric in the order of time, step and value. Raises NotFound for the run."""
        window = Window.open(limit, page_token, maximum=MAX_PAGE)

        def work(session: Session) -> Page[Metric]:
            wanted = {"run_no": _number(session, run_id), "key": key, **window.parameters}
            return window.page([_point(run_id, key, row) for row in session.rows(SQL.history, wanted)])

        return self.database.read(work)

    def bulk_history(self, run_ids: Sequence[str], key: str, *, limit: int) -> tuple[Metric, ...]:
        """The first ``limit`` points of one metric over several runs, by run id, then time; unknown runs give none."""

        def work(session: Session) -> tuple[Metric, ...]:
            points: list[Metric] = []
            for run_id, run_no in _numbers(session, run_ids):
                wanted = {"run_no": run_no, "key": key, "page_limit": limit - len(points), "page_offset": 0}
                points.extend(_point(run_id, key, row) for row in session.rows(SQL.history, wanted))
                if len(points) >= limit:
                    break
            return tuple(points)

        return self.database.read(work)

    def sampled_history(
        self, run_ids: Sequence[str], key: str, *, steps: tuple[int, int] = STEPS, wanted: int
    ) -> tuple[Metric, ...]:
        """About ``wanted`` evenly spread points a run between two steps (inclusive), the first and last among them."""

        def work(session: Session) -> tuple[Metric, ...]:
            points: list[Metric] = []
            for run_id, run_no in _numbers(session, run_ids):
                values = {"run_no": run_no, "key": key, "start_step": steps[0], "end_step": steps[1], "wanted": wanted}
                points.extend(_point(run_id, key, row) for row in session.rows(SQL.sampled, values))
            return tuple(points)

        return self.database.read(work)


def _number(session: Session, run_id: str) -> int:
    row = session.row(RUNS.by_id, {"run_id": run_id})
    if row is None:
        raise absent_run(run_id)
    return int(row[0])


def _numbers(session: Session, run_ids: Sequence[str]) -> list[tuple[str, int]]:
    rows = session.rows(RUNS.heads, {"run_ids": list(run_ids)})
    return sorted((row[0], row[1]) for row in rows)


def _point(run_id: str, key: str, row: Row) -> Metric:
    return Metric(key=key, value=NAN if row[3] else row[2], timestamp_ms=row[0], step=row[1], run_id=run_id)
