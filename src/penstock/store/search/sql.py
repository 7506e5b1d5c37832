"""A checked filter and order -> SQL and parameters. Pure; every text of the user's is a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from penstock.ground.entities import ViewType
from penstock.store.search.tree import Comparison, OrderTerm
from penstock.store.search.vocabulary import Keyed, Vocabulary

# The indexes by value hold this many characters of a text: PostgreSQL refuses index entries over 2704 bytes.
INDEXED_CHARS = 64
_STAGES = {ViewType.ACTIVE_ONLY: "active", ViewType.DELETED_ONLY: "deleted"}


class Search(Struct, frozen=True):
    """A compiled search; :page_limit and :page_offset are still to be given."""

    sql: str
    parameters: dict[str, Any]


def compile_search(
    vocabulary: Vocabulary,
    clauses: Sequence[Comparison],
    order: Sequence[OrderTerm],
    *,
    view: ViewType = ViewType.ALL,
    experiment_ids: Sequence[int] = (),
    datasets: Sequence[tuple[str, str | None]] = (),
) -> Search:
    """The query for one window of ``vocabulary.columns``.

    ``experiment_ids`` narrows scoped entities; ``datasets`` narrows the metrics of logged models.
    """
    compiler = _Compiler(vocabulary, tuple(experiment_ids), tuple(datasets))
    compiler.scope(view)
    for clause in clauses:
        compiler.clause(clause)
    terms = [text for term in order for text in compiler.order(term)]
    return compiler.finish(_with_ties(terms, vocabulary))


def _with_ties(terms: list[str], vocabulary: Vocabulary) -> list[str]:
    named = {term.split()[0] for term in terms}
    rest = vocabulary.ties if terms else vocabulary.default_order
    return terms + [term for term in rest if term.split()[0] not in named]


class _Compiler:
    """Collects joins, conditions and parameters."""

    def __init__(
        self, vocabulary: Vocabulary, experiment_ids: tuple[int, ...], datasets: tuple[tuple[str, str | None], ...]
    ) -> None:
        self.vocabulary = vocabulary
        self.experiment_ids = experiment_ids
        self.datasets = datasets
        self.joins: list[str] = []
        self.conditions: list[str] = [vocabulary.always] if vocabulary.always else []
        self.parameters: dict[str, Any] = {}
        self.aliases: dict[tuple[str, str], str] = {}

    def bind(self, value: object) -> str:
        name = f"v{len(self.parameters)}"
        self.parameters[name] = list(value) if isinstance(value, tuple) else value
        return f":{name}"

    def scope(self, view: ViewType) -> None:
        if self.vocabulary.scoped:
            self.conditions.append(self.in_scope("m"))
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
            self.conditions.extend(self._value_tests(alias, clause, keyed))
        else:
            self.conditions.append(self._exists(clause, keyed))

    def _joined(self, subject: str, key: str, keyed: Keyed) -> str:
        """The alias of the joined row that holds ``key``; several clauses on one key share it."""
        alias = self.aliases.get((subject, key))
        if alias is None:
            alias = f"c{len(self.aliases)}"
            self.aliases[subject, key] = alias
            link = keyed.link.replace("c.", f"{alias}.")
            self.joins.append(f"JOIN {keyed.table} {alias} ON {link} AND {alias}.key = {self.bind(key)}")
            if keyed.scoped:
                self.conditions.append(self.in_scope(alias))
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
        tests = [self.test(column, clause)]
        if clause.operator == "=" and keyed.scoped and isinstance(clause.value, str):
            tests.append(f"substr({column}, 1, {INDEXED_CHARS}) = {self.bind(clause.value[:INDEXED_CHARS])}")
        return tests

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
        alias = f"o{len(self.joins)}"
        link = keyed.link.replace("c.", f"{alias}.")
        self.joins.append(f"LEFT JOIN {keyed.table} {alias} ON {link} AND {alias}.key = {self.bind(term.key)}")
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

    def finish(self, terms: list[str]) -> Search:
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        sql = (
            f"SELECT {', '.join(self.vocabulary.columns)} FROM {self.vocabulary.table} m "
            f"{' '.join(self.joins)}{where} ORDER BY {', '.join(terms)} LIMIT :page_limit OFFSET :page_offset"
        )
        return Search(sql, self.parameters)
