"""The filter language against an oracle that is nothing but Python: the same runs match, in the same order."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.ground.entities import Metric, Param, RunStatus, Tag, ViewType
from penstock.store.open import Store, open_store
from penstock.store.search.leading import Bounds, run_search
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import parse_filter, parse_order
from penstock.store.search.vocabulary import RUNS as VOCABULARY

KEYS = ("a", "b.c", "d e", "f/g")
TEXTS = st.text(alphabet="abAB%_\\'é \"", max_size=5)
NUMBERS = st.sampled_from([-math.inf, -1.5, 0.0, 0.5, 1.0, 2.0, math.inf, math.nan])
LITERALS = st.sampled_from(["-1.5", "0", "0.5", "1", "1e0", ".5", "2."])


class FakeRun:
    """What the oracle knows of a run."""

    def __init__(self, place: int, metrics: dict[str, float], params: dict[str, str], tags: dict[str, str]) -> None:
        self.name = f"run {place}"
        self.start_time = place % 3
        self.end_time = None if place % 2 else place
        self.metrics = metrics
        self.params = params
        self.tags = tags
        self.run_id = ""


RUNS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(KEYS), NUMBERS, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=2),
    ),
    min_size=1,
    max_size=6,
)


def like(text: str, pattern: str, *, fold: bool) -> bool:
    parts = [".*" if part == "%" else "." if part == "_" else re.escape(part) for part in pattern]
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if fold else 0)
    if fold:  # only ASCII letters fold
        folded = str.maketrans({chr(code): chr(code + 32) for code in range(65, 91)})
        return re.fullmatch("".join(parts).translate(folded), text.translate(folded), re.DOTALL) is not None
    return re.fullmatch("".join(parts), text, flags) is not None


def compare(left: Any, operator: str, right: Any) -> bool:
    if left is None:
        return operator == "IS NULL"
    if isinstance(left, float) and math.isnan(left):
        return operator == "!="
    return {
        "=": lambda: left == right,
        "!=": lambda: left != right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        "LIKE": lambda: like(left, right, fold=False),
        "ILIKE": lambda: like(left, right, fold=True),
        "IS NULL": lambda: False,
        "IS NOT NULL": lambda: True,
    }[operator]()


def value_of(run: FakeRun, subject: str, key: str) -> Any:
    if subject == "attributes":
        return getattr(run, key)
    return getattr(run, subject).get(key)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def clauses(draw: st.DrawFn) -> tuple[str, str, str, Any, str]:
    """(subject, key, operator, value, text of the clause)."""
    subject = draw(st.sampled_from(["metrics", "params", "tags", "attributes"]))
    if subject == "attributes":
        key = draw(st.sampled_from(["start_time", "end_time"]))
        name = draw(st.sampled_from([key, f"attributes.{key}", f"attribute.{key}", f"run.`{key}`"]))
    else:
        key = draw(st.sampled_from(KEYS))
        marked = draw(st.sampled_from([f"`{key}`", f'"{key}"']))
        name = f"{draw(st.sampled_from([subject, subject.removesuffix('s')]))}.{marked}"
    if subject in ("metrics", "attributes"):
        operator = draw(st.sampled_from(["=", "!=", ">", ">=", "<", "<="]))
        literal = draw(LITERALS)
        return subject, key, operator, float(literal), f"{name} {operator} {literal}"
    operator = draw(st.sampled_from(["=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"]))
    if operator.startswith("IS"):
        return subject, key, operator, None, f"{name} {operator.lower()}"
    text = draw(TEXTS)
    return subject, key, operator, text, f"{name} {operator} {quoted(text)}"


ORDERS = st.lists(
    st.tuples(st.sampled_from(["metrics", "params", "tags", "attributes"]), st.sampled_from(KEYS), st.booleans()),
    max_size=2,
    unique_by=lambda term: term[:2],
)


def order_of(orders: list[tuple[str, str, bool]]) -> Any:
    """Compares runs: missing values last, NaN before them; ties by start time, newest first, then by id."""

    def rank(value: Any) -> int:
        return 2 if value is None else 1 if isinstance(value, float) and math.isnan(value) else 0

    def compared(one: FakeRun, other: FakeRun) -> int:
        for subject, key, ascending in orders:
            name = "end_time" if subject == "attributes" else key
            left, right = value_of(one, subject, name), value_of(other, subject, name)
            if rank(left) != rank(right):
                return rank(left) - rank(right)
            if rank(left) == 0 and left != right:
                less = left.encode() < right.encode() if isinstance(left, str) else left < right
                return -1 if less == ascending else 1
        if one.start_time != other.start_time:
            return other.start_time - one.start_time
        return -1 if one.run_id < other.run_id else 1

    return cmp_to_key(compared)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('oracle') / 'store.db'}") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    contents=RUNS,
    wanted=st.lists(clauses(), max_size=3),
    orders=ORDERS,
)
def test_the_same_runs_match_in_the_same_order(
    store: Store,
    contents: list[tuple[dict[str, float], dict[str, str], dict[str, str]]],
    wanted: list[tuple[str, str, str, Any, str]],
    orders: list[tuple[str, str, bool]],
) -> None:
    tracking = store.tracking
    experiment = tracking.create_experiment(f"e{len(tracking.search_experiments(limit=50_000).items)}")
    runs = []
    for place, (metrics, params, tags) in enumerate(contents):
        run = FakeRun(place, metrics, params, tags)
        info = tracking.create_run(experiment, run_name=run.name, start_time_ms=run.start_time).info
        run.run_id = info.run_id
        if run.end_time is not None:
            tracking.update_run(run.run_id, status=RunStatus.FINISHED, end_time_ms=run.end_time)
        tracking.log_batch(
            run.run_id,
            metrics=[Metric(key=key, value=value, timestamp_ms=0) for key, value in metrics.items()],
            params=[Param(key=key, value=value) for key, value in params.items()],
            tags=[Tag(key=key, value=value) for key, value in tags.items()],
        )
        runs.append(run)

    def matches(run: FakeRun) -> bool:
        return all(compare(value_of(run, subject, key), operator, value) for subject, key, operator, value, _ in wanted)

    expected = sorted((run for run in runs if matches(run)), key=order_of(orders))
    text = " AND ".join(clause[4] for clause in wanted)
    terms = [
        f"{'attributes.end_time' if subject == 'attributes' else f'{subject}.`{key}`'} {'ASC' if up else 'DESC'}"
        for subject, key, up in orders
    ]
    if sum(subject == "attributes" for subject, _, _ in orders) > 1:
        return
    found = tracking.search_runs([experiment], filter=text, order_by=terms).items
    assert [run.info.run_name for run in found] == [run.name for run in expected], text
    for limit in (1, 2):
        assert names_by_other_ways(store, experiment, text, terms, limit) == [run.name for run in expected[:limit]], (
            text
        )


def names_by_other_ways(store: Store, experiment: str, text: str, terms: list[str], limit: int) -> list[str]:
    """The first names, searched with bounds so small that orders are walked and given up as in large experiments."""
    clauses, order = parse_filter(text, VOCABULARY), parse_order(terms, VOCABULARY)
    search = compile_search(VOCABULARY, clauses, order, view=ViewType.ACTIVE_ONLY, experiment_ids=[int(experiment)])
    window = {"page_limit": limit, "page_offset": 0}
    bounds = Bounds(few=1, walk=2, counted=3, many=2)
    rows = store.database.read(lambda session: run_search(session, search, window, bounds))
    return [row[2] for row in rows]
