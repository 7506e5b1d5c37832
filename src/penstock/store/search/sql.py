"""A checked filter and order -> SQL and parameters. Pure; every text of the user's is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from penstock.ground.entities import ViewType
from penstock.store.database import Row, Session
from penstock.store.search.tree import Comparison, OrderTerm
from penstock.store.search.vocabulary import INDEXED_CHARS, Keyed, Vocabulary

# Candidates are counted up to here. Where the default order lets a search end after one page, a clause that matches
# more than the second number leaves the lead to the runs themselves.
COUNTED_ROWS = 20_000
FEW_ROWS = 5_000
_INDEXED = ("=", ">", ">=", "<", "<=")
_STAGES = {ViewType.ACTIVE_ONLY: "active", ViewType.DELETED_ONLY: "deleted"}


class Driver(Struct, frozen=True):
    """A joined table that could lead the query: ``sql`` counts its rows, up to a bound."""

    alias: str
    sql: str


class Joined(Struct):
    """A table of keyed values joined to the entity's: ``tests`` are its own conditions, ``scope`` its experiments'.

    ``indexed`` says that an index by value finds the rows.
    """

    table: str
    link: str
    scope: str
    tests: list[str]
    indexed: bool = False


class Search(Struct, frozen=True):
    """A compiled search; :page_limit and :page_offset are still to be given."""

    compiler: Compiler
    terms: tuple[str, ...]
    by_default_order: bool

    @property
    def parameters(self) -> dict[str, Any]:
        return self.compiler.parameters

    @property
    def drivers(self) -> tuple[Driver, ...]:
        """The joined tables that could lead."""
        return self.compiler.drivers()

    def sql(self, *, lead: Sequence[str] = ()) -> str:
        """The query. ``lead`` are the aliases to join first, in that order; without it the entity's table leads."""
        return self.compiler.finish(self.terms, lead)


def run_search(session: Session, search: Search, window: Mapping[str, Any]) -> list[Row]:
    """The rows of one window of the search.

    No planner is trusted with statistics it may not have: the clause with the fewest rows, counted up to a bound,
    leads, and everything else is found by primary key. (PostgreSQL before its first ANALYZE joined two indexes by
    value in a loop: quadratic.)
    """
    parameters = {**search.parameters, **window}
    counts = sorted((session.rows(driver.sql, parameters)[0][0], driver.alias) for driver in search.drivers)
    lead = [alias for _, alias in counts]
    if counts and search.by_default_order and counts[0][0] > FEW_ROWS:
        lead = []
    return session.rows(search.sql(lead=lead), parameters)


def compile_search(
    vocabulary: Vocabulary,
    clauses: Sequence[Comparison],
    order: Sequence[OrderTerm],
    *,
    view: ViewType = ViewType.ALL,
    experiment_ids: Sequence[int] = (),
    datasets: Sequence[tuple[str, str | None]] = (),
) -> Search:
    """The search for one window of ``vocabulary.columns``.

    ``experiment_ids`` narrows scoped entities; ``datasets`` narrows the metrics of logged models.
    """
    compiler = Compiler(vocabulary, tuple(experiment_ids), tuple(datasets))
    compiler.scope(view)
    for clause in clauses:
        compiler.clause(clause)
    terms = [text for term in order for text in compiler.order(term)]
    return Search(compiler, tuple(_with_ties(terms, vocabulary)), by_default_order=not terms)


def _with_ties(terms: list[str], vocabulary: Vocabulary) -> list[str]:
    named = {term.split()[0] for term in terms}
    rest = vocabulary.ties if terms else vocabulary.default_order
    return terms + [term for term in rest if term.split()[0] not in named]


class Compiler:
    """Collects joins, conditions and parameters."""

    def __init__(
        self, vocabulary: Vocabulary, experiment_ids: tuple[int, ...], datasets: tuple[tuple[str, str | None], ...]
    ) -> None:
        self.vocabulary = vocabulary
        self.experiment_ids = experiment_ids
        self.datasets = datasets
        self.inner: dict[str, Joined] = {}
        self.main_scope = ""
        self.outer: list[str] = []
        self.conditions: list[str] = [vocabulary.always] if vocabulary.always else []
        self.parameters: dict[str, Any] = {}
        self.aliases: dict[tuple[str, str], str] = {}

    def bind(self, value: object) -> str:
        name = f"v{len(self.parameters)}"
        self.parameters[name] = list(value) if isinstance(value, tuple) else value
        return f":{name}"

    def scope(self, view: ViewType) -> None:
        if self.vocabulary.scoped:
            self.main_scope = self.in_scope("m")
        if self.vocabulary.staged and view in _STAGES:
            self.conditions.append(f"m.lifecycle_stage = {self.bind(_STAGES[view])}")

    def in_scope(self, alias: str) -> str:
        if len(self.experiment_ids) == 1:
            return f"{alias}.experiment_id = {self.bind(self.experiment_ids[0])}"
        return f"{alias}.experiment_id {{in ints{self.bind(self.experiment_ids)}}}"

    def clause(self, clause: Comparison) -> None:
        if clause.subject == "attribute":
            attribute = self.vocabulary.attributes[clause.key]
            self.conditions.append(self.test(attribute.column, clause))
        elif clause.subject == "dataset":
            self.conditions.append(self._dataset(clause))
        else:
            self._keyed(clause, self.vocabulary.keyed[clause.subject])

    def test(self, column: str, clause: Comparison) -> str:
        """The comparison of a text or plain number column."""
        if clause.operator in ("IN", "NOT IN"):
            listed = f"{column} {{in texts{self.bind(clause.value)}}}"
            return listed if clause.operator == "IN" else f"NOT ({listed})"
        if clause.operator == "LIKE":
            return f"{column} LIKE {self.bind(clause.value)} {{unescaped}}"
        if clause.operator == "ILIKE":
            return f"lower({column}) LIKE lower({self.bind(clause.value)}) {{unescaped}}"
        return f"{column} {clause.operator} {self.bind(clause.value)}"

    def _dataset(self, clause: Comparison) -> str:
        column = self.vocabulary.datasets[clause.key]
        return (
            "EXISTS (SELECT 1 FROM run_datasets i JOIN datasets d ON d.dataset_no = i.dataset_no "
            f"WHERE i.run_no = m.run_no AND {self.test(column, clause)})"
        )

    def _keyed(self, clause: Comparison, keyed: Keyed) -> None:
        if clause.operator == "IS NULL":
            self.conditions.append(f"NOT {self._exists(clause, keyed)}")
        elif clause.operator == "!=" and clause.key in self.vocabulary.absent_means_different:
            same = Comparison(clause.subject, clause.key, "=", clause.value)
            self.conditions.append(f"NOT {self._exists(same, keyed)}")
        elif keyed.unique:
            alias = self._joined(clause.subject, clause.key, keyed)
            joined = self.inner[alias]
            joined.tests.extend(self._value_tests(alias, clause, keyed))
            joined.indexed |= keyed.scoped and clause.operator in _INDEXED
        else:
            self.conditions.append(self._exists(clause, keyed))

    def _joined(self, subject: str, key: str, keyed: Keyed) -> str:
        """The alias of the joined row that holds ``key``; several clauses on one key share it."""
        alias = self.aliases.get((subject, key))
        if alias is None:
            alias = f"c{len(self.aliases)}"
            self.aliases[subject, key] = alias
            self.inner[alias] = Joined(
                keyed.table,
                keyed.link.replace("c.", f"{alias}."),
                self.in_scope(alias) if keyed.scoped else "",
                [f"{alias}.key = {self.bind(key)}"],
            )
        return alias

    def _exists(self, clause: Comparison, keyed: Keyed) -> str:
        conditions = [keyed.link, f"c.key = {self.bind(clause.key)}"]
        if clause.operator != "IS NULL":
            conditions += self._value_tests("c", clause, keyed)
        if keyed.table == "logged_model_metrics" and self.datasets:
            conditions.append(self._in_datasets())
        return f"EXISTS (SELECT 1 FROM {keyed.table} c WHERE {' AND '.join(conditions)})"

    def _in_datasets(self) -> str:
        tests = []
        for name, digest in self.datasets:
            test = f"c.dataset_name = {self.bind(name)}"
            tests.append(f"({test} AND c.dataset_digest = {self.bind(digest)})" if digest else test)
        return f"({' OR '.join(tests)})"

    def _value_tests(self, alias: str, clause: Comparison, keyed: Keyed) -> list[str]:
        column = f"{alias}.value"
        if clause.operator == "IS NOT NULL":
            return []
        if keyed.numeric:
            return self._number_tests(alias, column, clause)
        if clause.operator == "=" and keyed.scoped and isinstance(clause.value, str):
            return self._equal_text(alias, clause.value)
        return [self.test(column, clause)]

    def _equal_text(self, alias: str, value: str) -> list[str]:
        """The head alone decides for a value shorter than heads, so that the index by value answers without the row."""
        tests = [f"{alias}.head = {self.bind(value[:INDEXED_CHARS])}"]
        return tests if len(value) < INDEXED_CHARS else [*tests, f"{alias}.value = {self.bind(value)}"]

    def _number_tests(self, alias: str, column: str, clause: Comparison) -> list[str]:
        """NaN is no number: it matches '!=' and nothing else."""
        value = self.bind(float(clause.value) if isinstance(clause.value, (int, float)) else clause.value)
        if clause.operator == "!=":
            return [f"({column} != {value} OR {alias}.is_nan = 1)"]
        return [f"{alias}.is_nan = 0", f"{column} {clause.operator} {value}"]

    def order(self, term: OrderTerm) -> list[str]:
        """The ORDER BY terms for one asked order: missing values last, NaN before them, numbers and texts first."""
        direction = "ASC" if term.ascending else "DESC"
        if term.subject == "attribute":
            attribute = self.vocabulary.attributes[term.key]
            return [f"{attribute.column} {direction}{' {last}' if attribute.nullable else ''}"]
        keyed = self.vocabulary.keyed[term.subject]
        if not keyed.unique:
            return self._order_by_point(term, keyed, direction)
        alias = self.aliases.get((term.subject, term.key)) or self._left_joined(term, keyed)
        missing = [] if alias.startswith("c") else [f"CASE WHEN {alias}.run_no IS NULL THEN 1 ELSE 0 END"]
        nan = [f"{alias}.is_nan"] if keyed.numeric else []
        return [*missing, *nan, f"{alias}.value {direction}"]

    def _left_joined(self, term: OrderTerm, keyed: Keyed) -> str:
        alias = f"o{len(self.outer)}"
        link = keyed.link.replace("c.", f"{alias}.")
        self.outer.append(f"LEFT JOIN {keyed.table} {alias} ON {link} AND {alias}.key = {self.bind(term.key)}")
        return alias

    def _order_by_point(self, term: OrderTerm, keyed: Keyed, direction: str) -> list[str]:
        """Orders logged models by the newest point of a metric, of one dataset when the term names it."""
        conditions = [keyed.link, f"c.key = {self.bind(term.key)}"]
        if term.dataset_name:
            conditions.append(f"c.dataset_name = {self.bind(term.dataset_name)}")
        if term.dataset_digest:
            conditions.append(f"c.dataset_digest = {self.bind(term.dataset_digest)}")
        newest = (
            f"FROM {keyed.table} c WHERE {' AND '.join(conditions)} "
            "ORDER BY c.timestamp_ms DESC, c.step DESC, c.value DESC, c.run_id LIMIT 1"
        )
        return [f"(SELECT c.is_nan {newest}) {{last}}", f"(SELECT c.value {newest}) {direction} {{last}}"]

    def drivers(self) -> tuple[Driver, ...]:
        return tuple(
            Driver(
                alias,
                f"SELECT COUNT(*) FROM (SELECT 1 FROM {joined.table} {alias} "
                f"WHERE {' AND '.join([joined.scope, *joined.tests])} LIMIT {COUNTED_ROWS}) AS counted",
            )
            for alias, joined in self.inner.items()
            if joined.indexed
        )

    def finish(self, terms: Sequence[str], lead: Sequence[str]) -> str:
        scope = self.inner[lead[0]].scope if lead else self.main_scope
        tests = [test for joined in self.inner.values() for test in joined.tests]
        conditions = [test for test in (scope, *self.conditions, *tests) if test]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return (
            f"SELECT {', '.join(self.vocabulary.columns)} FROM {self._from(lead)} {' '.join(self.outer)}{where} "
            f"ORDER BY {', '.join(terms)} LIMIT :page_limit OFFSET :page_offset"
        )

    def _from(self, lead: Sequence[str]) -> str:
        """The joins: of the leading table only its own experiments, of the others only rows of the same entity."""
        main = f"{self.vocabulary.table} m"
        if not lead:
            return " ".join([main, *(self._join(alias) for alias in self.inner)])
        first, *rest = lead
        others = [f"{{then}} {self.inner[alias].table} {alias} ON {alias}.run_no = {first}.run_no" for alias in rest]
        rest_by_key = [self._join(alias) for alias in self.inner if alias not in lead]
        joins = [*others, f"{{then}} {main} ON m.run_no = {first}.run_no", *rest_by_key]
        return " ".join([f"{self.inner[first].table} {first}", *joins])

    def _join(self, alias: str) -> str:
        return f"JOIN {self.inner[alias].table} {alias} ON {self.inner[alias].link}"
