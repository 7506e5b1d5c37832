"""Which table leads a search, so that its cost follows the rows that it can match and never the size of the store.

No planner is trusted with statistics it may not have. (PostgreSQL before its first ANALYZE joined two indexes by value
in a loop, quadratic; after it, it read whole tables in parallel, other experiments' rows too.)

1. The clause with the fewest rows leads, counted up to a bound, and everything else is found by primary key.
2. Where every clause matches many rows and an index keeps the order that was asked for, that index is walked from its
   head: one page is found long before all matches are. The walk has an edge, so that a clause that hardly ever
   matches costs no more than the rows before it; what lies before the edge comes before everything behind it, so a
   full page is the right page. Otherwise 1. does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from msgspec import Struct

from penstock.store.database import Row, Session
from penstock.store.search.sql import Search


class Bounds(Struct, frozen=True):
    """Up to how many rows each step goes: counting at first, walking, counting again; ``many`` rows lead no more where
    the newest runs of several experiments are asked for."""

    few: int = 1_000
    walk: int = 4_000
    counted: int = 20_000
    many: int = 5_000


BOUNDS = Bounds()


def run_search(session: Session, search: Search, window: Mapping[str, Any], bounds: Bounds = BOUNDS) -> list[Row]:
    """The rows of one window (:page_limit and :page_offset) of the search."""
    parameters = {**search.parameters, **window}
    if not search.drivers:
        return session.rows(search.sql(), parameters)
    least, lead = _counted(session, search, parameters, bounds.few)
    if least >= bounds.few:
        found = _walked(session, search, parameters, lead, bounds.walk)
        if found is not None:
            return found
        least, lead = _counted(session, search, parameters, bounds.counted)
        if search.by_default_order and search.walk is None and least > bounds.many:
            lead = []  # of several experiments: the newest runs are read until a page is full
    return session.rows(search.sql(lead=lead), parameters)


def _counted(session: Session, search: Search, parameters: Mapping[str, Any], bound: int) -> tuple[int, list[str]]:
    """The fewest rows that a clause matches, up to ``bound``, and all that could lead, the fewest first."""
    (counts,) = session.rows(search.counts_sql(), {**parameters, "count_bound": bound})
    by_count = sorted(zip(counts, search.drivers, strict=True), key=itemgetter(0))
    return by_count[0][0], [alias for _, alias in by_count]


def _walked(
    session: Session, search: Search, parameters: Mapping[str, Any], lead: list[str], walk_rows: int
) -> list[Row] | None:
    """The window's rows, or None when they are not all before the walk's edge."""
    walk = search.walk
    if walk is None or parameters["page_offset"] + parameters["page_limit"] > walk_rows:
        return None
    edge = session.row(walk.edge_sql, {**parameters, "walk_rows": walk_rows})
    if edge is None:
        return None
    rows = session.rows(search.walk_sql(walk, lead=lead), {**parameters, "walk_edge": edge[0]})
    return rows if len(rows) == parameters["page_limit"] else None
