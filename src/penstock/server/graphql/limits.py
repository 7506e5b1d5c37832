"""How large a GraphQL question may be: few aliases and root fields, no deep nesting, counted before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.ground.errors import InvalidInput

if TYPE_CHECKING:
    from graphql import DocumentNode, SelectionSetNode

MAX_ROOT_FIELDS = 10
MAX_ALIASES = 10
MAX_DEPTH = 10
MAX_SELECTIONS = 1000
MAX_TOKENS = 5000


def check_size(document: DocumentNode) -> None:
    """Raises InvalidInput for a document that asks for too much; fragments count wherever they are spread."""
    tally = _Tally(document)
    for definition in document.definitions:
        if definition.kind == "operation_definition":
            tally.walk(definition.selection_set, depth=1, inside=())
    for what, found, most in (
        ("root fields", tally.root_fields, MAX_ROOT_FIELDS),
        ("aliases", tally.aliases, MAX_ALIASES),
    ):
        if found > most:
            raise InvalidInput(
                f"GraphQL queries should have at most {most} {what}, got {found} {what}.",
                fix="Ask in several requests.",
            )


class _Tally:
    """Counts a document's fields and aliases."""

    def __init__(self, document: DocumentNode) -> None:
        self.root_fields = 0
        self.aliases = 0
        self._selections = 0
        self._fragments: dict[str, SelectionSetNode] = {
            definition.name.value: definition.selection_set
            for definition in document.definitions
            if definition.kind == "fragment_definition"
        }

    def walk(self, selections: SelectionSetNode | None, *, depth: int, inside: tuple[str, ...]) -> None:
        if selections is None:
            return
        if depth > MAX_DEPTH:
            raise InvalidInput(f"Query exceeds maximum depth of {MAX_DEPTH}.", fix="Ask less deeply.")
        for node in selections.selections:
            self._selections += 1
            if self._selections > MAX_SELECTIONS:
                raise InvalidInput(
                    f"Query exceeds maximum total selections of {MAX_SELECTIONS}.", fix="Ask for fewer fields."
                )
            if node.kind == "fragment_spread":
                name = node.name.value
                if name not in inside:
                    self.walk(self._fragments.get(name), depth=depth, inside=(*inside, name))
                continue
            if node.kind == "inline_fragment":
                self.walk(node.selection_set, depth=depth, inside=inside)
                continue
            self.root_fields += depth == 1
            self.aliases += node.alias is not None
            self.walk(node.selection_set, depth=depth + 1, inside=inside)
