"""Tokens -> a list of comparisons and an order, checked against a vocabulary. Every fault is an InvalidInput."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.store.search.tokens import Kind, Token, invalid_clause, tokenize
from penstock.store.search.vocabulary import LISTED, Vocabulary

Value = str | int | float | tuple[str, ...] | None
MAX_CLAUSES = 50
MAX_PATTERN_CHARS = 10_000
_INT64 = 1 << 63


class Comparison(Struct, frozen=True):
    """One clause: ``subject`` is attribute, metric, param, tag or dataset."""

    subject: str
    key: str
    operator: str
    value: Value = None


class OrderTerm(Struct, frozen=True):
    """One term of an order. ``dataset_name`` and ``dataset_digest`` narrow a logged model's metric."""

    subject: str
    key: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


def parse_filter(text: str, vocabulary: Vocabulary) -> tuple[Comparison, ...]:
    """The comparisons of ``text``, all of which must hold; an empty text has none. Raises InvalidInput.

    >>> parse_filter("metrics.loss < 0.5 AND params.kind = 'big'", RUNS)
    (Comparison('metric', 'loss', '<', 0.5), Comparison('param', 'kind', '=', 'big'))
    """
    parser = _Parser(tokenize(text), vocabulary)
    clauses: list[Comparison] = []
    while parser.tokens:
        if clauses:
            parser.expect_and()
        clauses.append(parser.comparison())
        if len(clauses) > MAX_CLAUSES:
            raise InvalidInput(f"The filter has more than {MAX_CLAUSES} clauses.", fix="Use fewer.")
    return tuple(clauses)


def parse_order(terms: Sequence[str], vocabulary: Vocabulary) -> tuple[OrderTerm, ...]:
    """The order that ``terms`` ask for, each ``<entity>.<key> [ASC|DESC]``. Raises InvalidInput."""
    parsed = tuple(_order_term(text, vocabulary) for text in terms)
    return check_order(parsed)


def check_order(terms: Sequence[OrderTerm]) -> tuple[OrderTerm, ...]:
    """``terms``, if each names another key. Raises InvalidInput."""
    seen = {(term.subject, term.key, term.dataset_name, term.dataset_digest) for term in terms}
    if len(seen) < len(terms) or len(terms) > MAX_CLAUSES // 2:
        raise InvalidInput("`order_by` contains duplicate fields.", fix="Name each field once.")
    return tuple(terms)


class _Parser:
    """Takes tokens from the front."""

    def __init__(self, tokens: list[Token], vocabulary: Vocabulary) -> None:
        self.tokens = tokens
        self.vocabulary = vocabulary

    def take(self) -> Token:
        if not self.tokens:
            raise InvalidInput("Invalid clause(s) in filter string: it ends in the middle.", fix="Complete the clause.")
        return self.tokens.pop(0)

    def expect_and(self) -> None:
        token = self.take()
        if token.word != "AND" or not self.tokens:
            raise invalid_clause(token.source)

    def comparison(self) -> Comparison:
        name = self.take()
        if not name.parts:
            raise invalid_clause(name.source)
        subject, key = resolve_name(name, self.vocabulary)
        operator = self.operator()
        allowed, numeric = _rules(subject, key, self.vocabulary)
        if operator not in allowed:
            raise InvalidInput(
                f"Invalid comparator '{operator}' not one of '{', '.join(allowed)}' for {name.source}.",
                fix="Use one of these.",
            )
        return Comparison(subject, key, operator, self.value(operator, numeric=numeric, noun=_noun(subject, key)))

    def operator(self) -> str:
        token = self.take()
        if token.kind is Kind.OPERATOR:
            return token.text
        if token.word in ("LIKE", "ILIKE", "IN"):
            return token.word
        if token.word == "NOT" and self.take().word == "IN":
            return "NOT IN"
        if token.word == "IS":
            return self._null_test()
        raise invalid_clause(token.source)

    def _null_test(self) -> str:
        word = self.take().word
        if word == "NULL":
            return "IS NULL"
        if word == "NOT" and self.take().word == "NULL":
            return "IS NOT NULL"
        raise invalid_clause(f"IS {word}")

    def value(self, operator: str, *, numeric: bool, noun: str) -> Value:
        if operator in ("IS NULL", "IS NOT NULL"):
            return None
        if operator in ("IN", "NOT IN"):
            return self._list()
        token = self.take()
        if numeric:
            return _number(token, noun)
        if token.kind is not Kind.TEXT:
            raise InvalidInput(
                f"Expected a quoted string value for {noun} (e.g. 'my-value'). Got value {token.source}.",
                fix="Use either single or double quotes.",
            )
        if operator in ("LIKE", "ILIKE") and len(token.text) > MAX_PATTERN_CHARS:
            raise InvalidInput(f"A pattern is longer than {MAX_PATTERN_CHARS} characters.", fix="Shorten it.")
        return token.text

    def _list(self) -> tuple[str, ...]:
        if self.take().kind is not Kind.OPEN:
            raise InvalidInput("Invalid comparison clause: IN needs a list such as ('a', 'b').", fix="Use parentheses.")
        items: list[str] = []
        while True:
            token = self.take()
            if token.kind is not Kind.TEXT:
                raise InvalidInput(
                    f"While parsing a list in the query, expected a quoted string value, got {token.source}.",
                    fix="Quote every value of the list.",
                )
            items.append(token.text)
            separator = self.take()
            if separator.kind is Kind.CLOSE:
                return tuple(items)
            if separator.kind is not Kind.COMMA:
                raise invalid_clause(separator.source)


def resolve_name(name: Token, vocabulary: Vocabulary) -> tuple[str, str]:
    """What a name in a filter or an order speaks of: (subject, key). Raises InvalidInput."""
    if len(name.parts) == 1:
        subject, key = "attribute", name.parts[0]
    else:
        prefix, key = name.parts
        known = vocabulary.prefixes.get(prefix)
        if known is None:
            raise InvalidInput(
                f"Invalid entity type '{prefix}'. Valid values are {sorted(vocabulary.prefixes)}.",
                fix="Use one of them.",
            )
        subject = known
    valid: list[str] | None = None
    if subject in ("attribute", "dataset"):
        valid = sorted(vocabulary.attributes if subject == "attribute" else vocabulary.datasets)
    if valid is not None and key not in valid:
        raise InvalidInput(
            f"Invalid {subject} key '{key}' specified. Valid keys are '{valid}'.", fix="Use one of them."
        )
    if not key:
        raise invalid_clause(name.source)
    return subject, key


def _rules(subject: str, key: str, vocabulary: Vocabulary) -> tuple[tuple[str, ...], bool]:
    """The operators that may follow a name, and whether its values are numbers."""
    if subject == "attribute":
        attribute = vocabulary.attributes[key]
        return attribute.operators, attribute.numeric
    if subject == "dataset":
        return LISTED, False
    keyed = vocabulary.keyed[subject]
    return keyed.operators, keyed.numeric


def _noun(subject: str, key: str) -> str:
    """What MLflow's messages call it."""
    return {"param": "parameter", "attribute": f"attribute '{key}'"}.get(subject, subject)


def _number(token: Token, noun: str) -> int | float:
    if token.kind is not Kind.NUMBER:
        raise InvalidInput(
            f"Expected numeric value type for {noun}. Found {token.source}.", fix="Write a number without quotes."
        )
    try:
        whole = int(token.text)
    except ValueError:
        return float(token.text)
    return whole if -_INT64 <= whole < _INT64 else float(token.text)


def _order_term(text: str, vocabulary: Vocabulary) -> OrderTerm:
    tokens = tokenize(text)
    if not tokens or not tokens[0].parts or len(tokens) > 2:
        raise InvalidInput(
            f"Invalid order_by clause '{text[:200]}'. Could not be parsed.", fix="Write '<entity>.<key> [ASC|DESC]'."
        )
    direction = tokens[1].word if len(tokens) == 2 else "ASC"
    if direction not in ("ASC", "DESC"):
        raise InvalidInput(
            f"Invalid ordering key in order_by clause '{text[:200]}'.", fix="End it with ASC or DESC, or nothing."
        )
    subject, key = resolve_name(tokens[0], vocabulary)
    if subject not in vocabulary.ordered_by:
        raise InvalidInput(
            f"Invalid order_by entity type '{subject}' for a {vocabulary.noun}.",
            fix=f"Order by one of: {', '.join(vocabulary.ordered_by)}.",
        )
    return OrderTerm(subject, key, direction == "ASC")
