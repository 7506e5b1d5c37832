"""A checked filter and order -> SQL and parameters. Pure; every text of the user's is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.ground.entities import ViewType
from penstock.store.search.tree import Comparison, OrderTerm
from penstock.store.search.vocabulary import INDEXED_CHARS, Keyed, Vocabulary

_INDEXED = ("=", ">", ">=", "<", "<=")
_STAGES = {ViewType.ACTIVE_ONLY: "active", ViewType.DELETED_ONLY: "deleted"}


class Walk(Struct, frozen=True):
    """An order that an index keeps: a search can walk it from its head and end with the first page.

    ``alias`` is the table walked, ``m`` the entity's own; ``edge_sql`` gives the value after which :walk_rows rows lie.
    """

    alias: str
    column: str
    joined: Joined | None
    descending: bool
    edge_sql: str


class Joined(Struct):
    """A table of keyed values joined to the entity's: ``tests`` are its own conditions, ``scope`` its experiments'.

    ``indexed`` says that an index by value finds the rows, ``equal`` that it finds those of one value.
    """

    table: str
    link: str
    scope: str
    tests: list[str]
    indexed: bool = False
    equal: bool = False


class Search(Struct, frozen=True):
    """A compiled search; :page_limit and :page_offset are still to be given."""

    compiler: Compiler
    terms: tuple[str, ...]
    by_default_order: bool

    @property
    def parameters(self) -> dict[str, Any]:
        return self.compiler.parameters

    @property
    def drivers(self) -> tuple[str, ...]:
        """The aliases of the joined tables that could lead; those that ask for one value first: they match less."""
        found = [(not joined.equal, alias) for alias, joined in self.compiler.inner.items() if joined.indexed]
        return tuple(alias for _, alias in sorted(found))

    @property
    def walk(self) -> Walk | None:
        """The order to walk, where an index keeps the order that was asked for."""
        return self.compiler.walk(by_default_order=self.by_default_order)

    def counts_sql(self) -> str:
        """The rows of each driver, counted up to :count_bound."""
        return self.compiler.counts(self.drivers)

    def sql(self, *, lead: Sequence[str] = ()) -> str:
        """The query. ``lead`` are the aliases to join first, in that order; without it the entity's table leads."""
        return self.compiler.finish(self.terms, lead)

    def walk_sql(self, walk: Walk, *, lead: Sequence[str]) -> str:
        """The query over the head of the walk, up to :walk_edge; ``lead`` is joined next, in that order."""
        return self.compiler.within(walk, self.terms, lead)


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
    terms = [text for place, term in enumerate(order) for text in compiler.order(term, is_first=place == 0)]
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
        self.stage = ""
        self.ordered: tuple[str, Joined, str] | None = None  # the metric that the order begins with
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
            self.stage = f"m.lifecycle_stage = {self.bind(_STAGES[view])}"
            self.conditions.append(self.stage)

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
            joined.equal |= clause.operator == "="
        else:
            self.conditions.append(self._exists(clause, keyed))

    def _joined(self, subject: str, key: str, keyed: Keyed) -> str:
        """The alias of the joined row that holds ``key``; several clauses on one key share it."""
        alias = self.aliases.get((subject, key))
        if alias is None:
            alias = f"c{len(self.aliases)}"
            self.aliases[subject, key] = alias
            self.inner[alias] = self._new_joined(alias, key, keyed)
        return alias

    def _new_joined(self, alias: str, key: str, keyed: Keyed) -> Joined:
        link, scope = keyed.link.replace("c.", f"{alias}."), self.in_scope(alias) if keyed.scoped else ""
        return Joined(keyed.table, link, scope, [f"{alias}.key = {self.bind(key)}"])

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

    def order(self, term: OrderTerm, *, is_first: bool = False) -> list[str]:
        """The ORDER BY terms for one asked order: missing values last, NaN before them, numbers and texts first."""
        direction = "ASC" if term.ascending else "DESC"
        if term.subject == "attribute":
            attribute = self.vocabulary.attributes[term.key]
            return [f"{attribute.column} {direction}{' {last}' if attribute.nullable else ''}"]
        keyed = self.vocabulary.keyed[term.subject]
        if not keyed.unique:
            return self._order_by_point(term, keyed, direction)
        alias = self.aliases.get((term.subject, term.key)) or self._left_joined(term, keyed)
        if is_first and keyed.numeric and keyed.scoped:
            self.ordered = (alias, self.inner.get(alias) or self._new_joined(alias, term.key, keyed), direction)
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

    def counts(self, drivers: Sequence[str]) -> str:
        counts = []
        for alias in drivers:
            joined = self.inner[alias]
            matches = f"SELECT 1 FROM {joined.table} {alias} WHERE {' AND '.join([joined.scope, *joined.tests])}"
            counts.append(f"(SELECT COUNT(*) FROM ({matches} LIMIT :count_bound) AS n{alias})")
        return f"SELECT {', '.join(counts)}"

    def walk(self, *, by_default_order: bool) -> Walk | None:
        if len(self.experiment_ids) != 1 or self.vocabulary.table != "runs":
            return None
        if by_default_order:
            return self._walk_runs() if self.stage else None
        if self.ordered is None:
            return None
        alias, joined, direction = self.ordered
        tests = [*joined.tests, *(test for test in (f"{alias}.is_nan = 0",) if test not in joined.tests)]
        edge = self._edge(f"{alias}.value", direction, joined.table, alias, [joined.scope, *tests])
        return Walk(alias, f"{alias}.value", replace(joined, tests=tests), direction == "DESC", edge)

    def _walk_runs(self) -> Walk:
        column, direction = self.vocabulary.default_order[0].split()
        edge = self._edge(column, direction, self.vocabulary.table, "m", [self.main_scope, self.stage])
        return Walk("m", column, None, direction == "DESC", edge)

    def _edge(self, column: str, direction: str, table: str, alias: str, tests: Sequence[str]) -> str:
        where = " AND ".join(test for test in tests if test)
        return (
            f"SELECT {column} FROM {table} {alias} WHERE {where} "
            f"ORDER BY {column} {direction} LIMIT 1 OFFSET :walk_rows"
        )

    def within(self, walk: Walk, terms: Sequence[str], lead: Sequence[str]) -> str:
        bound = f"{walk.column} {'>' if walk.descending else '<'} :walk_edge"
        if walk.joined is None:
            return self.finish(terms, (), more=bound)
        outer = [each for each in self.outer if f" {walk.alias} ON " not in each]
        terms = [term for term in terms if not term.startswith((f"CASE WHEN {walk.alias}.", f"{walk.alias}.is_nan"))]
        aliases = [walk.alias, *(alias for alias in lead if alias != walk.alias)]
        return self.finish(terms, aliases, more=bound, inner={**self.inner, walk.alias: walk.joined}, outer=outer)

    def finish(
        self,
        terms: Sequence[str],
        lead: Sequence[str],
        *,
        more: str = "",
        inner: Mapping[str, Joined] | None = None,
        outer: Sequence[str] | None = None,
    ) -> str:
        inner = self.inner if inner is None else inner
        scope = inner[lead[0]].scope if lead else self.main_scope
        tests = [test for joined in inner.values() for test in joined.tests]
        conditions = [test for test in (scope, more, *self.conditions, *tests) if test]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        joins = " ".join([self._from(lead, inner), *(self.outer if outer is None else outer)])
        return (
            f"SELECT {', '.join(self.vocabulary.columns)} FROM {joins}{where} "
            f"ORDER BY {', '.join(terms)} LIMIT :page_limit OFFSET :page_offset"
        )

    def _from(self, lead: Sequence[str], inner: Mapping[str, Joined]) -> str:
        """The joins: of the leading table only its own experiments, of the others only rows of the same entity."""
        main = f"{self.vocabulary.table} m"
        if not lead:
            return " ".join([main, *(_join(alias, joined) for alias, joined in inner.items())])
        first, *rest = lead
        others = [f"{{then}} {inner[alias].table} {alias} ON {alias}.run_no = {first}.run_no" for alias in rest]
        rest_by_key = [_join(alias, joined) for alias, joined in inner.items() if alias not in lead]
        joins = [*others, f"{{then}} {main} ON m.run_no = {first}.run_no", *rest_by_key]
        return " ".join([f"{inner[first].table} {first}", *joins])


def _join(alias: str, joined: Joined) -> str:
    return f"JOIN {joined.table} {alias} ON {joined.link}"
