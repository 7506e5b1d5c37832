"""Filters and orders: what is read, and how what is not is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ground.errors import InvalidInput
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import Comparison, OrderTerm, parse_filter, parse_order
from penstock.store.search.vocabulary import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Vocabulary,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("metrics.loss<0.5", (Comparison("metric", "loss", "<", 0.5),)),
        ("metric.`a b` >= -1e-3", (Comparison("metric", "a b", ">=", -0.001),)),
        ('params."a.b" = "x"', (Comparison("param", "a.b", "=", "x"),)),
        ("tags.mlflow.user != 'ann'", (Comparison("tag", "mlflow.user", "!=", "ann"),)),
        ("tag.`mlflow.user` LIKE '%a_'", (Comparison("tag", "mlflow.user", "LIKE", "%a_"),)),
        ("status = 'FINISHED' and start_time > 5", (
            Comparison("attribute", "status", "=", "FINISHED"), Comparison("attribute", "start_time", ">", 5))),
        ("run_id NOT IN ('a', \"b\")", (Comparison("attribute", "run_id", "NOT IN", ("a", "b")),)),
        ("params.x is not null", (Comparison("param", "x", "IS NOT NULL"),)),
        ("datasets.name = 'it''s'", (Comparison("dataset", "name", "=", "it's"),)),
        ("attributes.created <= 99999999999999999999", (Comparison("attribute", "created", "<=", 1e20),)),
    ],
)  # fmt: skip
def test_filters_are_read(text: str, expected: tuple[Comparison, ...]) -> None:
    assert parse_filter(text, RUNS) == expected


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("metrics.a > 1 OR metrics.b > 1", "Invalid clause(s) in filter string"),
        ("(metrics.a > 1)", "Invalid clause(s) in filter string"),
        ("metrics.a > 1; DROP TABLE runs", "Invalid clause(s) in filter string"),
        ("metrics.a > 1 AND", "Invalid clause(s) in filter string"),
        ("metrics.a >", "Invalid clause(s) in filter string"),
        ("metrics.a > '1'", "Expected numeric value type"),
        ("metrics.a LIKE 'x'", "Invalid comparator 'LIKE' not one of"),
        ("params.a = 1", "Expected a quoted string value"),
        ("params.a > '1'", "Invalid comparator '>' not one of"),
        ("params.a IN ('1')", "Invalid comparator 'IN' not one of"),
        ("accuracy > 1", "Invalid attribute key 'accuracy' specified"),
        ("things.a > 1", "Invalid entity type 'things'"),
        ("dataset.color = 'x'", "Invalid dataset key 'color' specified"),
        ("run_id IN ('a', 1)", "expected a quoted string value"),
        ("run_id IN 'a'", "Invalid comparison clause"),
        ("params.a = 'x", "Invalid clause(s) in filter string"),
        ("params.a = '\x00'", "zero byte"),
        ("metrics.a > 1 AND " * 60 + "metrics.a > 1", "more than 50 clauses"),
        (f"params.a LIKE '{'x' * 10_001}'", "longer than 10000 characters"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_fix(text: str, stem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_filter(text, RUNS)
    assert stem in str(caught.value)


def test_orders_are_read_and_duplicates_refused() -> None:
    terms = parse_order(["metrics.`a b` desc", "start_time", 'params."x y" ASC'], RUNS)
    assert terms == (
        OrderTerm("metric", "a b", False),
        OrderTerm("attribute", "start_time", True),
        OrderTerm("param", "x y", True),
    )
    for bad in (["metrics.a", "metric.a DESC"], ["metrics.a SIDEWAYS"], ["metrics.a > 1"], [""], ["dataset.name"]):
        with pytest.raises(InvalidInput):
            parse_order(bad, RUNS)


@pytest.mark.parametrize("vocabulary", [RUNS, EXPERIMENTS, REGISTERED_MODELS, MODEL_VERSIONS, LOGGED_MODELS])
@given(text=st.text(max_size=60))
def test_no_text_makes_the_parser_fail_otherwise(vocabulary: Vocabulary, text: str) -> None:
    def refused(parse: Callable[[], object]) -> bool:
        try:
            parse()
        except InvalidInput:
            return True
        return False

    assert refused(lambda: parse_filter(text, vocabulary)) or text.strip() == "" or parse_filter(text, vocabulary)
    assert refused(lambda: parse_order([text], vocabulary)) or parse_order([text], vocabulary)


@given(
    key=st.text(alphabet=st.characters(exclude_characters="`\x00"), min_size=1, max_size=20), value=st.text(max_size=20)
)
def test_no_text_of_the_users_stands_in_the_sql(key: str, value: str) -> None:
    clauses = (Comparison("param", key, "=", value), Comparison("tag", key, "LIKE", value))
    search = compile_search(RUNS, clauses, (OrderTerm("metric", key),), experiment_ids=[1])
    plain = compile_search(
        RUNS,
        (Comparison("param", "k", "=", "v"), Comparison("tag", "k", "LIKE", "v")),
        (OrderTerm("metric", "k"),),
        experiment_ids=[1],
    )
    if len(value) < 64:
        assert search.sql() == plain.sql()
